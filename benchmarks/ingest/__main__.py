"""`python -m benchmarks.ingest [--rivals DIR]`: the same OTLP into evalspan, Phoenix and MLflow, one after the other.

Rivals are installed into virtual environments under DIR (about 3 GB); without --rivals only evalspan is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from .servers import Evalspan, Mlflow, Phoenix, Server, running
from .spans import templates

CELLS = [(count, connections) for count in (100, 512) for connections in (1, 4, 16)]
PACKAGES = {"phoenix": "arize-phoenix", "mlflow": "mlflow"}


def load(server: Server, count: int, connections: int, seconds: float) -> dict:
    """One cell, sent by a process of its own."""
    asked = json.dumps([server.url, server.headers, count, connections, seconds])
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


def measure(server: Server, count: int, connections: int, seconds: float, limit_s: float) -> dict:
    before, cpu = server.stored(), server.cpu_s()
    started = time.perf_counter()
    sent = load(server, count, connections, seconds)
    stored, waited = wait_for(server, before + sent["accepted"], limit_s)
    elapsed = time.perf_counter() - started
    new = stored - before
    return {
        "server": server.name,
        "body": f"{count} x {connections}",
        "accepted/s": sent["accepted"] / sent["seconds"],
        "stored/s": new / elapsed,
        "CPU-s per 1,000 stored": 1000 * (server.cpu_s() - cpu) / new if new else None,
        "p99 ack ms": sent["p99_ms"],
        "memory MB": server.memory_mb(),
        "not stored": sent["accepted"] - new,
        "answers": ", ".join(f"{times} x {status}" for status, times in sent["answers"].items()),
        "drained in s": waited,
    }


def queryable_ms(server: Server, rounds: int = 7) -> float | None:
    """Median milliseconds from sending one small request to its spans being counted by a query."""
    took = []
    template = templates(4)[0]
    for _ in range(rounds):
        before = server.stored()
        started = time.perf_counter()
        urllib.request.urlopen(
            urllib.request.Request(server.url, data=template.body(), headers=server.headers), timeout=60
        )
        while server.stored() < before + 4:
            if time.perf_counter() - started > 30:
                return None
            time.sleep(0.01)
        took.append(1000 * (time.perf_counter() - started))
        time.sleep(0.2)
    return sorted(took)[rounds // 2]


def lost_on_kill(kind: type[Server], directory: Path, python: Path, seconds: float) -> str:
    """Acknowledged spans that are missing after SIGKILL in the middle of load and a restart."""
    server = kind(directory, python)
    killer = threading.Timer(seconds * 0.7, server.stop, [signal.SIGKILL])
    killer.start()
    sent = load(server, 100, 4, seconds)
    killer.join()
    with running(kind, directory, python) as again:
        stored, _ = wait_for(again, sent["accepted"], 30)
    return f"{max(0, sent['accepted'] - stored):,} of {sent['accepted']:,}"


def python_of(name: str, rivals: Path) -> Path:
    """The interpreter of a rival's own environment, made on the first run."""
    home = rivals / name
    if not (home / "bin" / "python").exists():
        print(f"installing {PACKAGES[name]} into {home}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(home / "bin" / "pip"), "install", "-q", PACKAGES[name]], check=True)
    return home / "bin" / "python"


def run(
    kind: type[Server], python: Path, cells: list[tuple[int, int]], seconds: float, limit_s: float
) -> tuple[list, dict]:
    with tempfile.TemporaryDirectory(prefix=f"ingest-{kind.name}-") as name:
        directory = Path(name)
        with running(kind, directory / "load", python) as server:
            facts = {"server": kind.name, "first accepted s": server.start_s}
            time.sleep(2)
            facts["idle memory MB"] = server.memory_mb()
            facts["export to queryable ms"] = queryable_ms(server)
            rows = [measure(server, count, connections, seconds, limit_s) for count, connections in cells]
            stored = server.stored()
            time.sleep(12)  # merges, and the log's inserted segments
            facts["disk bytes per span"] = server.disk_bytes() / max(1, stored)
        facts["lost on SIGKILL"] = lost_on_kill(kind, directory / "kill", python, 8)
    return rows, facts


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
    parser.add_argument("--seconds", type=float, default=8, help="seconds of load per cell")
    parser.add_argument("--rival-seconds", type=float, default=5, help="seconds of load per cell for rivals")
    parser.add_argument("--to", type=Path, help="write the report to this Markdown file")
    options = parser.parse_args()
    rows: list[dict] = []
    facts: list[dict] = []
    for kind in (Evalspan, Phoenix, Mlflow) if options.rivals else (Evalspan,):
        ours = kind is Evalspan
        python = Path(sys.executable) if ours else python_of(kind.name, options.rivals)
        # Two cells for rivals: bodies of 512 spans keep these servers busy for minutes and say nothing new.
        cells, seconds = (CELLS, options.seconds) if ours else ([(100, 1), (100, 4)], options.rival_seconds)
        more, fact = run(kind, python, cells, seconds, 120 if ours else 60)
        rows += more
        facts.append(fact)
        print(table(more), table([fact]), sep="\n", file=sys.stderr)
    report = "\n\n".join([table(rows), table(facts)])
    report += f"\n\n{platform.platform()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} at the end."
    print(report)
    if options.to:
        options.to.write_text(report + "\n")


if __name__ == "__main__":
    main()
