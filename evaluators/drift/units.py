"""Says the mean of a metric in the unit that people think in, for reports and alerts alike; the store keeps numbers."""

from __future__ import annotations

import math

# Watched as logarithms of milliseconds, because latencies have a long tail: their means are geometric ones.
LOGARITHMIC = ("latency", "ttft")


def in_unit(of: str, metric: str, value: float) -> str:
    """`value` as a mean of `metric` among `of` ("evaluations" or "usage") in words, such as `412 ms` or `3.1%`."""
    if of != "usage":
        return f"{value:.3f}"
    if metric in LOGARITHMIC:
        return f"{math.exp(value):.0f} ms"
    if metric == "error_rate":
        return f"{max(0.0, value):.1%}"
    return f"${max(0.0, value):.3g}" if metric == "cost" else f"{value:.0f}"
