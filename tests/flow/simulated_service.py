"""`evalspan serve` with the time of its alert rules read from a file, for tests that let weeks pass in a minute."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser
from datetime import datetime, timedelta
from pathlib import Path

from evalspan.collector.config import load_config
from evalspan.collector.service import Service
from evalspan.queries.host.clock import Clock

CLOCK_FILE = "now.txt"
"""In the directory that the service runs in."""


class FileClock(Clock):
    """Stands still until somebody writes a later moment (ISO 8601) into the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def now(self) -> datetime:
        return datetime.fromisoformat(self._path.read_text())

    async def sleep(self, seconds: float) -> None:
        wake = self.now() + timedelta(seconds=seconds)
        while self.now() < wake:  # noqa: ASYNC110 - another process sets it
            await asyncio.sleep(0.05)


def set_clock(folder: Path, now: datetime) -> None:
    """Turns the clock of the service that runs in `folder`; a reader sees the old moment or the new one."""
    draft = folder / f"{CLOCK_FILE}.new"
    draft.write_text(now.isoformat())
    draft.replace(folder / CLOCK_FILE)


def _serve() -> None:
    parser = ArgumentParser()
    parser.add_argument("--store")
    parser.add_argument("--config", type=Path)
    for name in ("port", "grpc-port", "sql-port"):
        parser.add_argument(f"--{name}", type=int)
    given = parser.parse_args()
    flags = {"store.dsn": given.store, "receive.port": given.port}
    flags |= {"receive.grpc_port": given.grpc_port, "receive.sql_port": given.sql_port}
    config = load_config(given.config, flags)
    asyncio.run(Service(config, clock=FileClock(Path(CLOCK_FILE))).run())


if __name__ == "__main__":
    _serve()
