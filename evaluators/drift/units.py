"""Means of a metric in the unit that people think in, for reports and alerts alike; the store keeps numbers."""

from __future__ import annotations

import math

# Watched as logarithms of milliseconds, because latencies have a long tail: their means are geometric ones.
LOGARITHMIC = ("latency", "ttft")


def to_unit(of: str, metric: str, value: float) -> float:
    """`value` as a mean of `metric` in its unit: milliseconds of latencies, which are stored as logarithms."""
    return math.exp(min(value, 700)) if of == "usage" and metric in LOGARITHMIC else value


def unit_of(of: str, metric: str) -> str:
    """The unit that `to_unit` gives: ms, $, tokens, a share, or "" for scores."""
    if of != "usage":
        return ""
    return {"error_rate": "share of calls", "cost": "$"}.get(metric, "ms" if metric in LOGARITHMIC else "tokens")


def format_value(of: str, metric: str, value: float) -> str:
    """`value` as a mean of `metric` among `of` ("evaluations" or "usage") in words, such as `412 ms` or `3.1%`."""
    if of != "usage":
        return f"{value:.3f}"
    if metric in LOGARITHMIC:
        return f"{to_unit(of, metric, value):.0f} ms"
    if metric == "error_rate":
        return f"{max(0.0, value):.1%}"
    return f"${max(0.0, value):.3g}" if metric == "cost" else f"{value:.0f}"


def format_difference(of: str, metric: str, value: float) -> str:
    """A difference of two means in words: points, percent of a latency, percentage points of a rate, dollars, tokens."""
    if of != "usage":
        return f"{value:+.3f}"
    if metric in LOGARITHMIC:
        return f"{math.expm1(min(value, 700)):+.1%}"
    if metric == "error_rate":
        return f"{100 * value:+.2f} percentage points"
    return f"{'-' if value < 0 else '+'}${abs(value):.3g}" if metric == "cost" else f"{value:+.0f}"
