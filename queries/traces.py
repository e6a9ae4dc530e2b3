"""Traces read back: the newest with their totals, and one as a tree of its spans with messages and scores."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import UsageError
from . import catalog
from .span_conditions import Condition, trace_filter
from .store.result import Result
from .trace_tree import TraceTree, trace_tree

if TYPE_CHECKING:
    from .store.protocol import StoreClient

MIN_PREFIX = 4
MAX_SPANS = 20_000
"""Spans of one trace that are read: the limit of sql/trace.sql."""


class Trace(msgspec.Struct, frozen=True):
    """One trace: its spans as a tree, and the evaluations of the trace and its spans."""

    trace_id: str
    tree: TraceTree
    evaluations: list[dict[str, Any]]

    @property
    def start(self) -> datetime:
        """When the first span began."""
        return datetime.fromtimestamp(self.tree.start_ns / 1e9, tz=UTC)

    @property
    def duration_ns(self) -> int:
        """From the first span's begin to the last one's end."""
        return self.tree.duration_ns


def latest(store: StoreClient, *, since: timedelta, rows: int = 20, filters: Mapping[str, Any] | None = None) -> Result:
    """The newest traces with their totals; `filters` are a project, environment or service, or keys of conditions."""
    start = datetime.now(UTC) - since
    given: dict[str, Any] = {name: value for name, value in (filters or {}).items() if value}
    scope: dict[str, Any] = {name: given.pop(name) for name in ("project", "environment", "service") if name in given}
    asked = [Condition(name, "=", str(value)) for name, value in given.items()]
    common = {"start": _text(start), "rows": rows, **scope}
    # Traces whose root was sent to somebody else are shown too, when there are no others.
    listed = _listed(store, asked, common) or _listed(store, asked, {**common, "every": 1})
    totals: dict[str, dict[str, Any]] = {}
    if listed:
        ids = [row["trace_id"] for row in listed]
        answer = catalog.get("pages/trace_totals").run(store, ids=ids, start=_text(start))
        totals = {row["trace_id"]: row for row in answer.dicts()}
        spans = [row["span_id"] for row in listed]
        entered = catalog.get("pages/trace_rows").run(
            store, ids=ids, spans=spans, entries=1, texts=0, start=_text(start)
        )
        entry_of = {(row["trace_id"], row["span_id"]): row for row in entered.dicts()}
        listed = [{**entry_of[key], **row} for row in listed if (key := (row["trace_id"], row["span_id"])) in entry_of]
        texts = catalog.get("pages/trace_previews").run(store, ids=ids, spans=spans, start=_text(start)).dicts()
        text_of = {row["trace_id"]: row for row in texts}
        listed = [{**row, **text_of.get(row["trace_id"], {})} for row in listed]
    columns = [
        "start_time",
        "name",
        "service",
        "input",
        "output",
        "duration_ns",
        "spans",
        "errors",
        "tokens",
        "cost_usd",
    ]
    merged = [_with_totals(row, totals.get(row["trace_id"], {})) for row in listed]
    return Result(
        columns=[*columns, "trace_id"],
        types=["DateTime64(9)", *["String"] * 4, *["UInt64"] * 4, "Nullable(Float64)", "String"],
        rows=[tuple(row.get(column) for column in [*columns, "trace_id"]) for row in merged],
    )


def _listed(store: StoreClient, asked: list[Condition], given: Mapping[str, Any]) -> list[dict[str, Any]]:
    query, filtered = catalog.get("pages/traces"), trace_filter(asked)
    bound = {**query.bound(given), **filtered.parameters}
    return store.query(query.statement(bound, {"conditions": filtered.text}), bound).dicts()


def _with_totals(row: dict[str, Any], totals: dict[str, Any]) -> dict[str, Any]:
    tokens = (totals.get("input_tokens") or 0) + (totals.get("output_tokens") or 0)
    return {**row, **totals, "tokens": tokens}


def read(store: StoreClient, trace_id: str) -> Trace:
    """
    One trace by its id, or by the beginning of it.

    Raises:
        UsageError: the text is no such beginning, no trace has it, or several do.
    """
    whole = _find(store, trace_id.strip().lower())
    rows = catalog.get("trace").run(store, trace=whole).dicts()
    evaluations = catalog.get("trace_evaluations").run(store, trace=whole).dicts()
    return Trace(trace_id=whole, tree=trace_tree(rows), evaluations=evaluations)


def _find(store: StoreClient, text: str) -> str:
    if not re.fullmatch(rf"[0-9a-f]{{{MIN_PREFIX},32}}", text):
        raise UsageError(
            f"{text!r} is not a trace id.", hint=f"Give at least its first {MIN_PREFIX} hexadecimal digits."
        )
    found = [row[0] for row in catalog.get("trace_ids").run(store, prefix=text).rows]
    if not found:
        raise UsageError(f"There is no trace {text}.", hint="`evalspan traces list` shows the newest.")
    if len(found) > 1:
        raise UsageError(f"{len(found)} traces begin with {text}: {', '.join(found[:3])}.", hint="Give more digits.")
    return str(found[0])


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
