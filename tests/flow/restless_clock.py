"""`evalspan serve` on a machine whose clock somebody moves while it runs: each line of a file in its directory is a step in seconds."""

from __future__ import annotations

import datetime as dt
import sys
import time
from pathlib import Path

STEPS_FILE = "clock_steps.txt"
_real_ns, _real_time = time.time_ns, time.time
_read_at, _offset_ns = 0.0, 0


def _moved_ns() -> int:
    global _read_at, _offset_ns
    if time.monotonic() - _read_at > 0.05:
        _read_at = time.monotonic()
        path = Path(STEPS_FILE)
        _offset_ns = sum(int(float(line) * 1e9) for line in path.read_text().split()) if path.exists() else 0
    return _real_ns() + _offset_ns


class _Datetime(dt.datetime):
    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> _Datetime:
        return cls.fromtimestamp(_moved_ns() / 1e9, tz)


def _serve() -> None:
    time.time_ns = _moved_ns
    time.time = lambda: _moved_ns() / 1e9
    dt.datetime = _Datetime  # type: ignore[misc] # for modules that take it from here on
    from evalspan.__main__ import main

    sys.argv = ["evalspan", "serve", *sys.argv[1:]]
    main()


if __name__ == "__main__":
    _serve()
