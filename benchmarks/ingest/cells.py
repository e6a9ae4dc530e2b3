"""One cell of the benchmark: a server under load, what it stored, and what that cost; and cells as a table."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from .servers import Server, running


class Bounds(NamedTuple):
    """Where a cell ends: seconds of load, spans (0: none), seconds to store what was accepted."""

    seconds: float
    most: int
    drain_s: float


def load(server: Server, count: int, connections: int, seconds: float, *more: int) -> dict:
    """One cell, sent by a process of its own; what `more` may be is said there."""
    asked = json.dumps([server.url, server.headers, count, connections, seconds, *more])
    command = [sys.executable, "-m", "benchmarks.ingest.load", asked]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def wait_for(server: Server, spans: int, limit_s: float) -> tuple[int, float]:
    """Waits until so many spans are stored; returns how many are, and the seconds it took."""
    started = time.perf_counter()
    stored = server.stored()
    while stored < spans and time.perf_counter() - started < limit_s:
        time.sleep(0.5)
        stored = server.stored()
    return stored, time.perf_counter() - started


def warm_up(server: Server) -> None:
    """What a server does once in its life, loading code and looking prices up, is in no cell."""
    sent = load(server, 100, 1, 60, 300)
    wait_for(server, sent["accepted"], 60)


def measure(kind: type[Server], directory: Path, python: Path, cell: tuple[int, int], bounds: Bounds) -> dict:
    """One cell on a fresh, warm server; the processor time includes the merges that follow."""
    count, connections = cell
    with running(kind, directory, python) as server:
        warm_up(server)
        server.settle()
        before, cpu, started = server.stored(), server.cpu_s(), time.perf_counter()
        with server.watched() as memory:
            sent = load(server, count, connections, bounds.seconds, bounds.most)
            stored, waited = wait_for(server, before + sent["accepted"], bounds.drain_s)
        elapsed = time.perf_counter() - started
        server.settle()
        new = stored - before
        return {
            "server": kind.name,
            "body": f"{count} x {connections}",
            "accepted": sent["accepted"],
            "accepted/s": sent["accepted"] / sent["seconds"],
            "stored/s": new / elapsed,
            "CPU-s per 1,000 stored": 1000 * (server.cpu_s() - cpu) / new if new else None,
            "p99 ack ms": sent["p99_ms"],
            "peak memory MB": max(memory),
            "disk bytes per span": server.disk_bytes() / max(1, stored),
            "not stored": sent["accepted"] - new,
            "answers": ", ".join(f"{times} x {status}" for status, times in sent["answers"].items()),
            "drained in s": waited,
        }


def shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.0f}"
    return "-" if value is None else str(value)


def table(rows: list[dict]) -> str:
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "| " + " | ".join("---" for _ in columns) + " |"]
    lines += ["| " + " | ".join(shown(row.get(column)) for column in columns) + " |" for row in rows]
    return "\n".join(lines)
