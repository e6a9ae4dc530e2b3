"""Which values of columns and attributes explain a risen cost: what rose by nearly all of it while the rest did not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .page_context import Rows

IDENTIFIERS = {"user", "session", "trace", "host.name", "host.id", "process.pid"}
"""Keys that name who was hit, not why: they are no cause while something else differs as well."""


def explaining(rows: Sequence[dict[str, Any]]) -> Rows:
    """
    Of the rows of `pages/cost_change` those that may be the cause, best first, each with its `part` of the rise (1 is all).

    A value that nearly all calls share rises along with everything and explains nothing. Without the cause nothing
    would have risen: a release that all calls moved to rose by more than everything did, because what it replaced fell.
    """
    if not rows or not (rise := rows[0]["all_after"] - rows[0]["all_before"]) > 0:
        return []
    growth = rows[0]["all_after"] / rows[0]["all_before"] if rows[0]["all_before"] else 0.0
    found = [
        {**row, "part": (row["after"] - row["before"]) / rise}
        for row in rows
        if row["key"] not in IDENTIFIERS | {"service"}
        and row["after"] < 0.999 * row["all_after"]
        and row["after"] - growth * row["before"] > 0.1 * rise
    ]
    return sorted(found, key=lambda row: abs(row["part"] - 1))
