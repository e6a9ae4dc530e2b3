"""Lengths of time as people write them in options, 90m, 24h, 7d, 2w, and as they read them in tables."""

from __future__ import annotations

import re
from datetime import timedelta

from ..errors import UsageError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MAX_DURATION = timedelta(weeks=100_000)  # longer than any calendar of Python's; a sum with a date is then clamped


def parse_duration(text: str, *, name: str = "") -> timedelta:
    """A length of time such as 30s, 90m, 24h, 1.5d or 2w; `name` is the option it was given for.

    Raises:
        UsageError: anything else, nothing, and what is not above zero.
    """
    found = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*([smhdw])\s*", text, re.ASCII)
    if not found or float(found[1]) <= 0:
        given = f"{name} {text!r}" if name else repr(text)
        raise UsageError(f"{given} is not a length of time.", hint="Write a number and a unit: 90m, 24h, 7d or 2w.")
    seconds = float(found[1]) * _UNITS[found[2]]
    return min(timedelta(seconds=seconds), _MAX_DURATION)


def format_duration(nanoseconds: float) -> str:
    """A span's duration for people: 850µs, 12ms, 1.84s, 3m05s, 2h07m."""
    if nanoseconds < 1_000_000:
        return f"{nanoseconds / 1e3:.0f}µs"
    if nanoseconds < 1_000_000_000:
        return f"{nanoseconds / 1e6:.0f}ms"
    seconds = nanoseconds / 1e9
    if seconds < 60:
        return f"{seconds:.2f}s"
    minutes = int(seconds // 60)
    return f"{minutes}m{int(seconds % 60):02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"
