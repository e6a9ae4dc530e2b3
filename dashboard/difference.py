"""What is different: values that some traces have more often than the others, corrected for how many are compared."""

from __future__ import annotations

import math
from typing import Any

from ..queries.span_conditions import Condition, trace_filter
from .page_context import PageContext, Rows, page
from .trace_filters import Chip, added, chips, conditions, kept, removed

Q = 0.05
SHOWN = 40
MIN_HINT = 0.25
"""A value that nearly all of few traces share is shown with this difference, too, as what cannot be told yet."""
IMPLIED = {"status": {"error", "message"}, "error": {"status", "message"}, "failed": set[str]()}
"""Keys that a filter decides by itself: among failed traces all have the status ERROR, which is no finding."""


async def _show(context: PageContext) -> dict[str, Any]:
    asked = conditions(context)
    inside = trace_filter(asked)
    found = await context.query("pages/difference", inside) if asked else []
    rows = compared(found, implied_by(asked))
    everything = found[0] if found else {"all_in": 0, "all_out": 0}
    return {
        "rows": [{**row, "open": added(context, "/traces", f"{row['key']}={row['value']}")} for row in rows[:SHOWN]],
        "compared": len(found),
        "all_in": everything["all_in"],
        "all_out": everything["all_out"],
        "chips": [{"text": chip.text, "without": removed(context, chip)} for chip in _chips(context)],
        "kept": kept(context),
        "asked": bool(asked),
    }


def _chips(context: PageContext) -> list[Chip]:
    return chips(context)


def implied_by(asked: list[Condition]) -> set[str]:
    """The keys on which the chosen traces differ because they were chosen by them."""
    found: set[str] = set()
    for condition in asked:
        found |= {condition.key} | IMPLIED.get(condition.key, set())
    return found


def compared(found: Rows, implied: set[str]) -> list[dict[str, Any]]:
    """Each value with its two shares, p and p after Benjamini and Hochberg (1995); what differs most, first.

    Values beyond chance come first (`sure`), then those that nearly all chosen traces share but too few to tell.
    p is of a two-proportion z test with pooled variance and continuity correction, two-sided.
    """
    rows = []
    for row in found:
        n_in, n_out = max(row["all_in"], 1), max(row["all_out"], 1)
        inside, outside = row["n_in"] / n_in, row["n_out"] / n_out
        rows.append(
            {
                **row,
                "share_in": inside,
                "share_out": outside,
                "lift": inside - outside,
                "p": _p_value(row["n_in"], n_in, row["n_out"], n_out),
            }
        )
    by_p = sorted(rows, key=lambda row: row["p"], reverse=True)
    smallest = 1.0
    for place, row in zip(range(len(by_p), 0, -1), by_p, strict=True):
        smallest = min(smallest, row["p"] * len(by_p) / place)
        row["p_adjusted"] = smallest
        row["sure"] = row["p_adjusted"] <= Q
    shown = [
        row
        for row in rows
        if row["key"] not in implied and (row["sure"] or (row["share_in"] >= 0.9 and row["lift"] >= MIN_HINT))
    ]
    return sorted(shown, key=lambda row: (not row["sure"], -abs(row["lift"]), row["key"], row["value"]))


def _p_value(a: int, n_a: int, b: int, n_b: int) -> float:
    pooled = (a + b) / (n_a + n_b)
    variance = pooled * (1 - pooled) * (1 / n_a + 1 / n_b)
    if variance <= 0:
        return 1.0
    distance = max(0.0, abs(a / n_a - b / n_b) - (1 / n_a + 1 / n_b) / 2)
    return math.erfc(distance / math.sqrt(variance) / math.sqrt(2))


difference = page("/difference", "difference.html", "What is different?")(_show)
routes = difference.routes()
