"""The rows of a list of traces: its ids looked up again for what the rows show, in as few statements as the size allows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from ..queries.listed_traces import MAX_SPANS, NO_TOTALS, NOTHING, by_trace, is_long, row_of, totals
from .filters import stamp
from .page_context import MAX_PAGE_ROWS, PageContext, Rows

BEFORE, AFTER = timedelta(hours=1), timedelta(hours=6)
"""How far the spans of one trace may lie from its entry to count in the list."""


async def rows_of(context: PageContext, listed: Rows, keys: Sequence[str] = (), *, whole: bool = True) -> Rows:
    """
    The rows of listed traces in their order, with texts, what the whole trace holds and how it was judged.

    `keys` are attributes of the entry to show, too; without `whole` texts and scores are left out. Traces of few spans are read in one statement; where there are many,
    the store adds them up.
    """
    if not listed:
        return []
    times = {
        "start": stamp(min(row["start_time"] for row in listed) - BEFORE),
        "end": stamp(max(row["start_time"] for row in listed) + AFTER),
    }
    ids = [row["trace_id"] for row in listed]
    scores = context.query("pages/list_scores", ids=ids, **times) if whole else _none()
    found, score_rows = await asyncio.gather(_read(context, listed, keys, times, texts=whole), scores)
    scores_of: dict[str, Rows] = {}
    for score in score_rows:
        scores_of.setdefault(score["trace_id"], []).append(score)
    return [{**row, "scores": worst(scores_of.get(row["trace_id"], ()))} for row in found]


async def _none() -> Rows:
    return []


async def _read(context: PageContext, listed: Rows, keys: Sequence[str], times: dict[str, str], *, texts: bool) -> Rows:
    """The rows with their totals and texts."""
    ids, spans = [row["trace_id"] for row in listed], [row["span_id"] for row in listed]
    given: dict[str, Any] = {
        "ids": ids,
        "spans": spans,
        "keys": list(keys),
        "attributed": int(bool(keys)),
        "texts": int(texts),
        **times,
    }
    read = await context.query("pages/trace_rows", **given, rows=MAX_SPANS + 1)
    many = len(read) > MAX_SPANS
    if many:
        read, added_up = await asyncio.gather(
            context.query("pages/trace_rows", **given, rows=MAX_PAGE_ROWS, entries=1),
            context.query("pages/trace_totals", ids=ids, **times),
        )
        total_of = {row["trace_id"]: row for row in added_up}
    of = by_trace(read)
    if not many:
        total_of = {trace: totals(found) for trace, found in of.items()}
    rows = []
    for one in listed:
        row = row_of(one, of.get(one["trace_id"], ()), keys)
        if row is not None:
            rows.append({**row, "total": total_of.get(row["trace_id"], NO_TOTALS)})
    if not texts:
        return rows
    lacking = [row for row in rows if _is_lacking(row, of[row["trace_id"]], many=many)]
    return await _with_texts(context, rows, lacking, times)


def _is_lacking(row: dict[str, Any], spans: Rows, *, many: bool) -> bool:
    """Whether a text of the row stands where it was not read: it was too long, or in a call of a large trace."""
    entry = next(span for span in spans if span["span_id"] == row["span_id"])
    silent = not entry["asked"] or entry["answered"] in NOTHING
    return is_long(entry) or (silent and (many or any(map(is_long, spans))))


async def _with_texts(context: PageContext, rows: Rows, lacking: Rows, times: dict[str, str]) -> Rows:
    """The rows, with texts that the store takes out of long ones where they are lacking."""
    if not lacking:
        return rows
    ids, spans = [row["trace_id"] for row in lacking], [row["span_id"] for row in lacking]
    told = {
        (row["trace_id"], row["span_id"]): row
        for row in await context.query("pages/trace_previews", ids=ids, spans=spans, **times)
    }
    for row in lacking:
        found = told.get((row["trace_id"], row["span_id"]), row)
        row["input"], row["output"] = found["input"], "" if found["output"] in NOTHING else found["output"]
    return rows


def worst(scores: Iterable[dict[str, Any]]) -> Rows:
    """One score per name for the list, a failed one before the others."""
    rank = {"fail": 0, "unknown": 1, "pass": 2}
    kept: dict[str, dict[str, Any]] = {}
    for score in sorted(scores, key=lambda score: rank[score["passed"]]):
        kept.setdefault(score["name"], score)
    return sorted(kept.values(), key=lambda score: (rank[score["passed"]], score["name"]))
