"""The review: failures clustered, one case a screen; a kept one becomes a regression case that the gate runs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from ..errors import UsageError
from ..evaluators.calibration.annotation import LABEL_VERSION
from ..evaluators.datasets import Example
from ..evaluators.datasets.review import accept
from ..evaluators.evaluation_rows import evaluation_row
from ..evaluators.runner import EvaluationResult
from ..queries.examples import add_examples
from ..queries.failures.selection import find_failures
from ..queries.messages import question_of
from ..queries.span_conditions import trace_filter
from . import guard
from .labels import NAME, redirect, remember_author
from .page_context import PageContext, Rows, handle_errors, page, page_context, render
from .result_cache import ResultCache
from .trace_filters import chips, conditions, kept, removed

ROOT_CAUSES = (
    "the answer invents facts",
    "the documents were not found",
    "the documents are wrong or out of date",
    "the system prompt asks for it",
    "a tool failed or returned nonsense",
    "the provider failed",
    "the evaluator is wrong",
)
"""Offered, not required: the field takes any text."""
DATASET = "regressions"


FOUND: web.AppKey[ResultCache[list[dict[str, Any]]]] = web.AppKey("dashboard_review")
MAX_JUDGEMENTS = 3000
"""The newest failed judgements that are clustered for the page; `evalspan export failures` takes more."""


def _key(context: PageContext) -> tuple[str, ...]:
    filters = context.filters
    since = filters.since or f"{filters.start:%F %H:%M} {filters.end:%F %H:%M}"
    return (since, filters.project, filters.service, filters.environment)


async def _clusters(context: PageContext) -> list[dict[str, Any]]:
    """The clusters of failures in the range, largest first; clustered once for all who look at it."""
    filters = context.filters
    return await context.request.app[FOUND].get(
        _key(context),
        lambda: asyncio.to_thread(
            lambda: (
                find_failures(
                    context.host.store,
                    since=datetime.now(UTC) - filters.start,
                    until=filters.end,
                    project=filters.project or "default",
                    service=filters.service,
                    environment=filters.environment,
                    limit=MAX_JUDGEMENTS,
                ).cases
            )
        ),
    )


async def _cases(context: PageContext) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """The clusters that the address asks for, and what was decided on which trace."""
    asked = conditions(context)
    found, decided, listed = await asyncio.gather(
        _clusters(context),
        context.query("pages/reviewed"),
        context.query("pages/listed_ids", trace_filter(asked)) if asked else _nothing(),
    )
    if asked:
        ids = {row["trace_id"] for row in listed}
        found = [case for case in found if not ids.isdisjoint(case["metadata"]["trace_ids"])]
    return found, {row["trace_id"]: row for row in decided}


async def _nothing() -> Rows:
    return []


async def _show(context: PageContext) -> dict[str, Any]:
    if not (context.is_json or context.params.get("wait") or context.request.app[FOUND].known(_key(context))):
        return {"later": True, "kind": context.params.get("kind", ""), "kept": kept(context)}
    return await _found(context)


async def _later(request: web.Request) -> web.StreamResponse:
    """The case alone, asked for by the page once it stands."""
    context = page_context(request, since="7d")
    return render(context, "review_case.html", title="Review", **await _found(context))


async def _found(context: PageContext) -> dict[str, Any]:
    cases, decisions = await _cases(context)
    kinds = sorted({_kind(case) for case in cases})
    kind = context.params.get("kind", "")
    wanted = [case for case in cases if kind in {"", _kind(case)}]
    open_ = [case for case in wanted if case["metadata"]["source_trace_id"] not in decisions]
    chosen = next((case for case in open_ if case["id"] == context.params.get("case")), open_[0] if open_ else None)
    return {
        "later": False,
        "kept": kept(context),
        "chips": [{"text": chip.text, "without": removed(context, chip)} for chip in chips(context)],
        "kinds": [(name, sum(_kind(case) == name for case in cases)) for name in kinds],
        "kind": kind,
        "done": len(wanted) - len(open_),
        "total": len(wanted),
        "queue": [
            {"id": case["id"], "question": question_of(case["input"])[:300], **_counts(case)} for case in open_[:40]
        ],
        "case": chosen and {**chosen, "question": question_of(chosen["input"])},
        "root_causes": ROOT_CAUSES,
        "dataset": context.params.get("dataset", DATASET),
    }


def _kind(case: dict[str, Any]) -> str:
    """What a failure is filed under: the first evaluator that failed it, or the error."""
    failure = case["metadata"]["failure"]
    if failure.get("error"):
        return "error"
    failed = [verdict["name"] for verdict in failure["evaluations"] if verdict.get("passed") == "fail"]
    return str((failed or [verdict["name"] for verdict in failure["evaluations"]] or ["other"])[0])


def _counts(case: dict[str, Any]) -> dict[str, Any]:
    return {key: case["metadata"][key] for key in ("count", "estimated_count", "reason", "last_seen")}


async def _decide(request: web.Request) -> web.StreamResponse:
    """Keeps or skips a case, remembers who decided, goes on to the next."""
    context, form = page_context(request), await request.post()
    text = {key: str(value).strip() for key, value in form.items()}
    cases, _ = await _cases(context)
    case = next((case for case in cases if case["id"] == text.get("case")), None)
    if case is None:
        raise UsageError("This case is not in the range any more.", hint="Open the review again.")
    project = context.filters.project or "default"
    if not text.get("author"):
        raise UsageError("A review needs its reviewer.", hint="Write your name; the browser remembers it.")
    if text.get("decision") == "keep":
        await _keep(context, case, text, project)
    await _store_label(context, case, "kept" if text.get("decision") == "keep" else "skipped", text["author"], project)
    following = {**kept(context), "kind": text.get("kind", ""), "dataset": text.get("dataset", "")}
    return remember_author(redirect(context.filters.url("/review", **following)), text["author"])


async def _keep(context: PageContext, case: dict[str, Any], text: dict[str, str], project: str) -> None:
    """Writes the case as a reviewed example. Raises DatasetError without root cause or expected output."""
    dataset = text.get("dataset") or DATASET
    if not NAME.fullmatch(dataset):
        raise UsageError(f"{dataset!r} cannot name a dataset.", hint="Letters, digits, dot, dash, underscore.")
    example = Example.from_json(case)
    accept(
        example,
        reviewer=text["author"],
        root_cause=text.get("root_cause", ""),
        expected_output=text.get("expected") or None,
        reference_free=text.get("reference_free") == "yes",
    )
    item = {**example.to_json(), "content_hash": example.content_hash}
    await asyncio.to_thread(add_examples, context.host.store, dataset, [item], project)


async def _store_label(context: PageContext, case: dict[str, Any], label: str, author: str, project: str) -> None:
    trace_id = case["metadata"]["source_trace_id"]
    span = await context.first_row("pages/span", trace=trace_id, span=case["metadata"]["source_span_id"])
    outcome = EvaluationResult("review", LABEL_VERSION, label=label)
    row = evaluation_row(
        outcome,
        project=project,
        source="human",
        author=author,
        span=span,
        trace_id=trace_id,
        evaluation_weight=0.0,  # a decision is no score: no estimate counts it
    )
    await context.insert("evaluations", [row])


review = page("/review", "review.html", "Review", since="7d")(_show)
routes = [
    *review.routes(),
    web.get("/review/case", guard.protect(handle_errors(_later))),
    web.post("/review", guard.protect(handle_errors(_decide))),
]
