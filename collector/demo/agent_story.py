"""The story of an agent: its tools change, arguments go wrong, evaluators of traces notice, cases are made, the gate decides."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from rich.console import Console

import evalspan

from ...errors import EvalspanError
from ...evaluators.datasets import Dataset, Example
from ...evaluators.datasets.review import accept
from ...queries import catalog
from ...queries.store.client import connect
from .clock import SHIFT_TAG, ShiftedClock
from .local_model import MODEL_NAME, local_model
from .order_desk import OLD_PROMPT, OrderDesk, questions
from .service import evalspan_command, serving
from .targets import MODEL_URL

CUSTOMERS = 36
"""In each of the two weeks."""
DAYS = 7
_SCORED_WITHIN_S = 60
_TARGETS = "evalspan.collector.demo.desk_targets"
CONFIG = f"""
[evaluation]
poll_s = 1

[[evaluation.rules]]
name = "agent-checks"
unit = "trace"
evaluators = ["{_TARGETS}:CHECKS"]
where = "role IN ('tool', 'agent')"
quiet_s = 1
"""


class AgentFound(msgspec.Struct, kw_only=True):
    """What the story showed."""

    customers: int
    scored: dict[str, tuple[float, float]] = {}
    """Mean of each evaluator in week one and week two."""
    drift_exit: int = -1
    drift: str = ""
    cases: int = 0
    gate_old: int = -1
    gate_fixed: int = -1


def tell_agent_story(folder: Path, console: Console, customers: int = CUSTOMERS) -> AgentFound:
    """Runs the whole way once in a fresh folder.

    Raises EvalspanError when the model or the collector cannot be started, or nothing is scored in time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "evalspan.toml"
    config.write_text(CONFIG, encoding="utf-8")
    found = AgentFound(customers=customers)
    with local_model() as model_url, serving(folder, config) as url:
        _serve(model_url, url, customers, console)
        found.scored = _wait_for_scores(folder, 2 * customers)
        console.print("Asking what moved ...")
        found.drift_exit, found.drift = evalspan_command(
            "drift", "--metric", "arguments_valid", "--since", "7d", folder=folder
        )
        cases = folder / "agent-cases.jsonl"
        condition = "name = 'arguments_valid' AND passed = 'fail'"
        _run(folder, "export", "failures", "--since", "30d", "--where", condition, "--to", str(cases))
        found.cases = _review(cases)
        console.print(f"{found.cases} kinds of failure became cases; the gate replays them ...")
        environment = {MODEL_URL: model_url}
        gate = ["gate", "--dataset", str(cases), "--suite", f"{_TARGETS}:GATE", "--repeats", "1", "--no-cache"]
        for name in ("old", "fixed"):
            code, said = evalspan_command(
                *gate, "--target", f"{_TARGETS}:{name}_prompt", folder=folder, environment=environment
            )
            (folder / f"gate-{name}.txt").write_text(said, encoding="utf-8")
            setattr(found, f"gate_{name}", code)
    return found


def print_agent_story(console: Console, found: AgentFound, folder: Path, minutes: float) -> None:
    """Says what was found, with the commands that show more of it."""
    console.print(f"\n[bold]An order desk with two tools, {found.customers} customers a week, on {MODEL_NAME}[/bold]")
    console.print("After week one the tools take whole order numbers; the prompt goes on copying digits.")
    for name, (before, after) in found.scored.items():
        console.print(f"  {name:<16} {before:.2f} -> {after:.2f}")
    told = [line for line in found.drift.splitlines() if line.strip() and not line.startswith("dashboard:")]
    first = next((line for line in told if "arguments_valid" in line and " from " in line), told[0] if told else "")
    console.print(f"  drift (exit {found.drift_exit}): {first.strip()}")
    console.print(
        f"  {found.cases} cases; gate on the old prompt: exit {found.gate_old}, on the fixed one: exit {found.gate_fixed}"
    )
    console.print(f"  {minutes:.1f} minutes; all of it is in {folder}\n")
    store = f"--store chdb://{(folder / 'store').resolve()}"
    for command in ("queries run tool_rates", "queries run step_graph", "traces list --since 30d"):
        console.print(f"  evalspan {command} {store}", soft_wrap=True)


def _serve(model_url: str, url: str, customers: int, console: Console) -> None:
    """Both weeks of customers; their spans are moved to where they belong in the fortnight, and say so."""
    provider = TracerProvider(resource=Resource.create({"service.name": "order-desk"}))
    provider.add_span_processor(BatchSpanProcessor(ShiftedClock(OTLPSpanExporter(endpoint=f"{url}/v1/traces"))))
    handle = evalspan.init(tracer_provider=provider)
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=2 * DAYS)
    try:
        for week in (1, 2):
            desk = OrderDesk(f"{model_url}/v1", MODEL_NAME, OLD_PROMPT, whole_numbers=week == 2)
            console.print(f"Week {week}: {customers} customers ...")
            for number, (question, _, _) in enumerate(questions(customers)):
                at = start + timedelta(days=(week - 1) * DAYS + (number + 0.5) * DAYS / customers)
                shift = (at - datetime.now(UTC)).total_seconds()
                session = f"week-{week}-{number // 2}"
                with evalspan.context(session=session, tags={SHIFT_TAG: f"{shift:.0f}"}):
                    desk.answer(question, session)
    finally:
        handle.shutdown()
        provider.shutdown()
        evalspan.uninstrument()


def _wait_for_scores(folder: Path, traces: int) -> dict[str, tuple[float, float]]:
    """The mean of every evaluator in both weeks, once all traces have their scores."""
    now = datetime.now(UTC)
    deadline = time.monotonic() + _SCORED_WITHIN_S
    with connect(f"chdb://{(folder / 'store').resolve()}") as store:

        def week(until: datetime) -> dict[str, float]:
            asked: dict[str, Any] = {"unit": "trace", "since_s": DAYS * 86400, "until": until.isoformat()}
            rows = catalog.get("confidence_band").run(store, **asked).dicts()
            # Of each metric the last window: it holds the mean of all before it, too.
            return {str(row["metric"]): float(row["mean"]) for row in rows}

        while time.monotonic() < deadline:
            counted = (
                catalog.get("score_volume")
                .run(store, unit="trace", since_s=DAYS * 86400, until=now.isoformat())
                .dicts()
            )
            if counted and all(row["n_before"] + row["n_after"] >= traces for row in counted):
                first, second = week(now - timedelta(days=DAYS)), week(now)
                return {name: (first[name], second[name]) for name in first if name in second}
            time.sleep(1)
    raise EvalspanError("The traces were not scored in time.", hint=f"The service's log is in {folder / 'serve.log'}.")


def _review(path: Path) -> int:
    """What a person does with `evalspan dataset review`: the cause, and which tools should have been called with what."""
    dataset = Dataset.load(path)
    reviewed = []
    for example in dataset.examples:
        question = str(example.input["question"])
        order = re.search(r"LB-\d{4}", question)
        accept(
            example,
            reviewer="order-desk-team",
            root_cause="the tools take whole order numbers now, the prompt copies digits",
            fix="the prompt copies the whole order number",
            reference_free=True,
        )
        name = "refund" if "refund" in question else "find_order"
        expected = [{"name": name, "arguments": {"order": order.group() if order else ""}}]
        reviewed.append(Example.from_json({**example.to_json(), "expected_tools": expected}))
    Dataset(dataset.name, dataset.task_type, reviewed).save(path)
    return len(reviewed)


def _run(folder: Path, *arguments: str) -> None:
    code, said = evalspan_command(*arguments, folder=folder)
    if code:
        raise EvalspanError(f"evalspan {arguments[0]} ended with {code}: {said.strip()[-300:]}", hint=f"See {folder}.")
