"""Lengths of time as people write them in options, 90m, 24h, 7d, 2w, and as they read them in tables."""

from __future__ import annotations

import re
from datetime import timedelta

from ..errors import UsageError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def duration(text: str) -> timedelta:
    """A length of time such as 30s, 90m, 24h, 7d or 2w. Raises UsageError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", text.strip())
    if not found or float(found[1]) <= 0:
        raise UsageError(f"{text!r} is not a length of time.", hint="Write 90m, 24h, 7d or 2w.")
    return timedelta(seconds=float(found[1]) * _UNITS[found[2]])


def spelled(nanoseconds: int) -> str:
    """A span's duration for people: 850µs, 12ms, 1.84s, 3m05s."""
    if nanoseconds < 1_000_000:
        return f"{nanoseconds / 1e3:.0f}µs"
    if nanoseconds < 1_000_000_000:
        return f"{nanoseconds / 1e6:.0f}ms"
    seconds = nanoseconds / 1e9
    return f"{seconds:.2f}s" if seconds < 60 else f"{int(seconds // 60)}m{int(seconds % 60):02d}s"
