"""`python -m benchmarks.ingest [--rivals DIR]`: the same OTLP into evalspan, Phoenix and MLflow, one after the other.

Rivals are installed into virtual environments under DIR (about 3 GB); without --rivals only evalspan is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from .servers import Evalspan, Mlflow, Phoenix, Server, running
from .spans import templates

CELLS = [(count, connections) for count in (100, 512) for connections in (1, 4, 16)]
SERVERS: tuple[type[Server], ...] = (Evalspan, Phoenix, Mlflow)
PACKAGES = {"phoenix": "arize-phoenix", "mlflow": "mlflow"}


class Bounds(NamedTuple):
    """Where a cell ends: seconds of load, spans (0: none), seconds to store what was accepted."""

    seconds: float
    most: int
    drain_s: float


def load(server: Server, count: int, connections: int, seconds: float, most: int = 0, rate: int = 0) -> dict:
    """One cell, sent by a process of its own."""
    asked = json.dumps([server.url, server.headers, count, connections, seconds, most, rate])
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
    sent = load(server, 100, 1, 60, most=300)
    wait_for(server, sent["accepted"], 60)


def measure(kind: type[Server], directory: Path, python: Path, cell: tuple[int, int], bounds: Bounds) -> dict:
    """One cell on a fresh, warm server; the processor time includes the merges that follow."""
    count, connections = cell
    with running(kind, directory, python) as server:
        warm_up(server)
        server.settle()
        before, cpu, started = server.stored(), server.cpu_s(), time.perf_counter()
        sent = load(server, count, connections, bounds.seconds, bounds.most)
        stored, waited = wait_for(server, before + sent["accepted"], bounds.drain_s)
        elapsed, memory = time.perf_counter() - started, server.memory_mb()
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
            "memory MB": memory,
            "disk bytes per span": server.disk_bytes() / max(1, stored),
            "not stored": sent["accepted"] - new,
            "answers": ", ".join(f"{times} x {status}" for status, times in sent["answers"].items()),
            "drained in s": waited,
        }


def queryable_ms(server: Server, rounds: int = 9, limit_s: float = 60) -> float | str:
    """Median milliseconds from sending one small request to its trace being found by a query."""
    took = []
    template = templates(4)[0]
    for _ in range(rounds):
        started = time.perf_counter()
        request = urllib.request.Request(server.url, data=template.body(), headers=server.headers)
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=limit_s).close()
        while not server.has(template.last_trace_id):
            if time.perf_counter() - started > limit_s:
                return f"over {limit_s * 1000:,.0f}"
            time.sleep(0.01)
        took.append(1000 * (time.perf_counter() - started))
        time.sleep(0.5)
    return sorted(took)[rounds // 2]


def queryable_under_load_ms(server: Server, rate: int = 2000) -> float | str:
    """The same while others send so many spans a second."""
    others = threading.Thread(target=load, args=(server, 100, 4, 30), kwargs={"rate": rate}, daemon=True)
    others.start()
    time.sleep(5)
    median = queryable_ms(server)
    others.join()
    return median


def lost_on(number: int, kind: type[Server], directory: Path, python: Path) -> str:
    """Acknowledged spans that are missing after a signal in the middle of load and a restart."""
    server = kind(directory, python)
    warm_up(server)
    before = server.stored()

    def kill() -> None:
        wait_for(server, before + 1, 60)  # the load has begun
        time.sleep(2)
        server.stop(number)

    killer = threading.Thread(target=kill)
    killer.start()
    sent = load(server, 100, 4, 8)
    killer.join()
    with running(kind, directory, python) as again:
        stored, _ = wait_for(again, before + sent["accepted"], 30)
    return f"{max(0, before + sent['accepted'] - stored):,} of {sent['accepted']:,}"


def python_of(name: str, rivals: Path) -> Path:
    """The interpreter of a rival's own environment, made on the first run."""
    home = rivals / name
    if not (home / "bin" / "python").exists():
        print(f"installing {PACKAGES[name]} into {home}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(home / "bin" / "pip"), "install", "-q", PACKAGES[name]], check=True)
    return home / "bin" / "python"


def facts_of(kind: type[Server], directory: Path, python: Path) -> dict:
    """What is measured once a server, not in every cell."""
    with running(kind, directory / "idle", python) as server:
        facts: dict[str, object] = {"server": kind.name, "first accepted s": server.start_s}
        time.sleep(5)
        facts["idle memory MB"] = server.memory_mb()
        warm_up(server)
        facts["export to queryable ms, idle"] = queryable_ms(server)
        facts["at 2,000 spans/s"] = queryable_under_load_ms(server)
    facts["lost on SIGKILL"] = lost_on(signal.SIGKILL, kind, directory / "kill", python)
    facts["lost on SIGTERM"] = lost_on(signal.SIGTERM, kind, directory / "term", python)
    return facts


def shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.0f}"
    return "-" if value is None else str(value)


def table(rows: list[dict]) -> str:
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "| " + " | ".join("---" for _ in columns) + " |"]
    lines += ["| " + " | ".join(shown(row.get(column)) for column in columns) + " |" for row in rows]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rivals", type=Path, help="directory for the rivals' environments; measures them too")
    parser.add_argument("--only", choices=[kind.name for kind in SERVERS], help="measure one server")
    parser.add_argument("--cells", help="for instance 100x4,512x16; all six otherwise")
    parser.add_argument("--seconds", type=float, default=10, help="seconds of load per cell")
    parser.add_argument("--rival-spans", type=int, default=5000, help="spans after which a rival's cell ends")
    parser.add_argument("--to", type=Path, help="write the report to this Markdown file")
    options = parser.parse_args()
    cells = [tuple(map(int, cell.split("x"))) for cell in options.cells.split(",")] if options.cells else CELLS
    rows: list[dict] = []
    facts: list[dict] = []
    for kind in SERVERS if options.rivals else (Evalspan,):
        if options.only and kind.name != options.only:
            continue
        ours = kind is Evalspan
        python = Path(sys.executable) if ours else python_of(kind.name, options.rivals)
        # Rivals that acknowledge faster than they store would be busy for hours with ten seconds of load.
        bounds = Bounds(options.seconds, 0 if ours else options.rival_spans, 120)
        with tempfile.TemporaryDirectory(prefix=f"ingest-{kind.name}-") as name:
            facts.append(facts_of(kind, Path(name), python))
            print(table(facts[-1:]), file=sys.stderr)
            for number, cell in enumerate(cells):
                rows.append(measure(kind, Path(name) / str(number), python, cell, bounds))
                print(table(rows[-1:]), file=sys.stderr)
    report = "\n\n".join([table(rows), table(facts)])
    report += f"\n\n{platform.platform()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} at the end."
    print(report)
    if options.to:
        options.to.write_text(report + "\n")


if __name__ == "__main__":
    main()
