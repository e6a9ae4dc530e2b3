"""Replay: a stored model call, or some failures, asked again with an edited system prompt through the operator's target."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import msgspec
from aiohttp import web

from ..errors import UsageError
from ..evaluators.experiments.record import Experiment
from ..evaluators.experiments.stored import save_to_store
from ..queries.messages import input_of, output_text
from ..queries.span_conditions import trace_filter
from . import guard, messages
from .labels import example_of
from .page_context import PageContext, Rows, handle_errors, page, page_context, render
from .text_diff import difference
from .trace import ALWAYS
from .trace_filters import conditions

SECONDS = 280.0
MAX_FAILURES = 20
MAX_PROMPT = 60_000
_RUNNING = asyncio.Semaphore(1)
"""One replay at a time: each asks a model as often as it has cases."""


async def _span(context: PageContext) -> dict[str, Any]:
    if not context.config.replay:
        raise web.HTTPNotFound(
            text='Replay is off: name a target in evalspan.toml, [dashboard] replay = "shop:answer".\n'
        )
    info = context.request.match_info
    span = await context.first_row("pages/span", trace=info["trace"], span=info["span"])
    if not span:
        raise web.HTTPNotFound(text=f"No span {info['span']} in trace {info['trace']}.\n")
    return span


def _system(span: dict[str, Any]) -> str:
    return messages.system_text(span["attributes"].get("gen_ai.system_instructions", ""), span["input"])


def with_system(span: dict[str, Any], system: str) -> dict[str, Any]:
    """A stored call as a case whose input carries another system prompt: as `system`, and before its messages."""
    case = example_of(span)
    given = input_of(span["input"])
    told = [{"role": "system", "content": system}]
    return {**case, "input": {**given, "system": system, "messages": [*told, *given.get("messages", [])]}}


async def _show(context: PageContext) -> dict[str, Any]:
    span = await _span(context)
    scores = await context.query("pages/trace_scores", ids=[span["trace_id"]], **ALWAYS)
    return {
        "span": {key: span[key] for key in ("trace_id", "span_id", "name", "request_model", "prompt_name", "prompt_version")},
        "system": _system(span),
        "asked": input_of(span["input"]).get("question", ""),
        "answered": output_text(span["output"]),
        "scores": [score for score in scores if score["span_id"] == span["span_id"]],
        "target": context.config.replay,
        "suite": context.config.replay_suite,
        "result": None,
        "run": None,
    }  # fmt: skip


async def _replay(request: web.Request) -> web.StreamResponse:
    """Asks the call again; with `failures` also the newest failures of the same prompt, kept as an experiment."""
    context, form = page_context(request), await request.post()
    data = await _show(context)
    span = await _span(context)
    system = str(form.get("system", ""))[:MAX_PROMPT]
    spans = [span]
    if form.get("failures"):
        spans += await _failures(context, span)
    name = f"replay of {span['prompt_name'] or span['name']}, edited"
    record = await _run(context, [with_system(one, system) for one in spans], name)
    first = record["results"][0]
    answer = first["model_output"] or first["failure_reason"] or "no answer"
    data |= {
        "system": system,
        "result": {**first, "answer": answer, "pieces": difference(data["answered"], answer)},
    }
    if len(spans) > 1:
        experiment = msgspec.convert(record, Experiment)
        await asyncio.to_thread(save_to_store, context.host.store, experiment, project=span["project"])
        passed = sum(one["passed"] is True for one in record["results"])
        data["run"] = {"id": experiment.experiment_id, "name": name, "n": len(spans), "passed": passed}
    return render(context, "replay.html", title="Replay", **data)


async def _failures(context: PageContext, span: dict[str, Any]) -> Rows:
    """Other calls of the same prompt or model that an evaluator failed, newest first."""
    own = {"version": f"{span['prompt_name']} {span['prompt_version']}".strip()} if span["prompt_version"] else {}
    found = await context.query(
        "pages/failed_calls",
        trace_filter(conditions(context)),
        prompt=own.get("version", ""),
        model=span["request_model"],
    )
    spans = await asyncio.gather(
        *(context.first_row("pages/span", trace=row["trace_id"], span=row["span_id"]) for row in found[:MAX_FAILURES])
    )
    return [one for one in spans if one and one["input"] and one["span_id"] != span["span_id"]]


async def _run(context: PageContext, examples: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Runs the cases in a process of its own: the target is the operator's code. Raises UsageError when it cannot."""
    work = {"examples": examples, "target": context.config.replay, "suite": context.config.replay_suite, "name": name}
    async with _RUNNING:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "evalspan.dashboard.replay_worker",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            out, said = await asyncio.wait_for(process.communicate(msgspec.json.encode(work, enc_hook=str)), SECONDS)
        except TimeoutError as error:
            process.kill()
            raise UsageError(
                f"The replay took longer than {SECONDS:.0f} s and was ended.",
                hint="Ask a quicker target, or fewer failures.",
            ) from error
    try:
        answer: dict[str, Any] = msgspec.json.decode(out)
    except msgspec.DecodeError as error:
        last = said.decode(errors="replace").strip().splitlines()[-1:] or ["without a word"]
        raise UsageError(
            f"The replay ended early: {last[0][:400]}", hint="Try the target in a terminal first."
        ) from error
    if "error" in answer:
        raise UsageError(str(answer["error"]), hint=str(answer.get("hint", "")))
    record: dict[str, Any] = answer["record"]
    return record


replay = page("/replay/{trace:[0-9a-fA-F]{1,32}}/{span:[0-9a-fA-F]{1,16}}", "replay.html", "Replay", early=False)(_show)
routes = [*replay.routes(), web.post(replay.path, guard.protect(handle_errors(_replay)))]
