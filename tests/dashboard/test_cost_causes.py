"""The cause of a risen cost is what rose while the rest did not, whatever else came or was shared at the same time."""

from __future__ import annotations

from typing import Any

import pytest

from evalspan.dashboard.cost_causes import explaining

Changes = dict[tuple[str, str], tuple[float, float]]


def rows(before: float, after: float, changes: Changes) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": value, "before": was, "after": now, "all_before": before, "all_after": after}
        for (key, value), (was, now) in changes.items()
    ]


@pytest.mark.parametrize(
    ("before", "after", "changes", "cause"),
    [
        pytest.param(
            6, 36, {("tenant", "a"): (1.2, 31), ("release", "2"): (0, 35)}, "a", id="all calls moved to a release"
        ),
        pytest.param(
            6, 120, {("tenant", "a"): (0.5, 114), ("release", "2"): (0, 119)}, "a", id="a rise of twenty times"
        ),
        pytest.param(
            6, 36, {("region", "eu"): (5.8, 35), ("tenant", "a"): (1, 30.5)}, "a", id="nearly all share a region"
        ),
        pytest.param(10, 30, {("model", "large"): (0, 29), ("model", "small"): (9.5, 1)}, "large", id="a dearer model"),
        pytest.param(10, 20, {("tenant", "new"): (0, 10), ("region", "eu"): (6, 12)}, "new", id="a tenant that is new"),
        pytest.param(10, 20, {("user", "u1"): (0, 10), ("service", "s"): (0, 10)}, "", id="who was hit is no cause"),
        pytest.param(10, 20, {("plan", "pro"): (5, 10), ("plan", "free"): (5, 10)}, "", id="everything doubled"),
        pytest.param(20, 10, {("tenant", "a"): (1, 5), ("tenant", "b"): (19, 5)}, "", id="the cost fell"),
        pytest.param(0, 10, {("tenant", "a"): (0, 9), ("tenant", "b"): (0, 1)}, "a", id="nothing was there before"),
        pytest.param(1, 1, {}, "", id="no values"),
    ],
)
def test_the_cause_is_what_rose_while_the_rest_did_not(
    before: float, after: float, changes: Changes, cause: str
) -> None:
    found = explaining(rows(before, after, changes))
    assert (found[0]["value"] if found else "") == cause
    assert all(row["part"] > 0 for row in found)
