"""`python -m benchmarks.ingest [--rivals DIR]`: the same OTLP into evalspan, Phoenix and MLflow, one after the other.

`--against PATH` compares with another checkout of evalspan in one run, `--tail` measures tail sampling. Rivals are installed into virtual environments under DIR (about 3 GB); without --rivals only evalspan is measured.
"""

from __future__ import annotations

import argparse
import contextlib
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

from .against import against
from .cells import Bounds, load, measure, table, wait_for, warm_up
from .servers import Evalspan, EvalspanOnServer, Mlflow, Phoenix, Server, running
from .spans import templates
from .tail import offered

CELLS = [(count, connections) for count in (100, 512) for connections in (1, 4, 16)]
SERVERS: tuple[type[Server], ...] = (Evalspan, Phoenix, Mlflow)
PACKAGES = {"phoenix": "arize-phoenix", "mlflow": "mlflow"}


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
    others = threading.Thread(target=load, args=(server, 100, 4, 30, 0, rate), daemon=True)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rivals", type=Path, help="directory for the rivals' environments; measures them too")
    parser.add_argument("--against", type=Path, help="another checkout with its .venv: only ratios to it are measured")
    parser.add_argument("--rounds", type=int, default=3, help="of --against, both checkouts in turn")
    parser.add_argument("--tail", action="store_true", help="only tail sampling: 5 percent of traces of 20 spans")
    parser.add_argument("--server-store", action="store_true", help="ours with a ClickHouse server as its store")
    parser.add_argument("--only", choices=[kind.name for kind in SERVERS], help="measure one server")
    parser.add_argument("--cells", help="for instance 100x4,512x16; all six otherwise")
    parser.add_argument("--seconds", type=float, default=10, help="seconds of load per cell")
    parser.add_argument("--rival-spans", type=int, default=5000, help="spans after which a rival's cell ends")
    parser.add_argument("--to", type=Path, help="write the report to this Markdown file")
    options = parser.parse_args()
    cells = [tuple(map(int, cell.split("x"))) for cell in options.cells.split(",")] if options.cells else CELLS
    if options.against or options.tail:
        seconds = options.seconds
        report = against(options.against, cells, seconds, options.rounds) if options.against else offered(seconds)
        finish(table(report), options.to)
        return
    rows: list[dict] = []
    facts: list[dict] = []
    own = EvalspanOnServer if options.server_store else Evalspan
    for kind in SERVERS if options.rivals else (own,):
        if options.only and kind.name != options.only:
            continue
        ours = issubclass(kind, Evalspan)
        python = Path(sys.executable) if ours else python_of(kind.name, options.rivals)
        # Rivals that acknowledge faster than they store would be busy for hours with ten seconds of load.
        bounds = Bounds(options.seconds, 0 if ours else options.rival_spans, 120)
        with tempfile.TemporaryDirectory(prefix=f"ingest-{kind.name}-") as name:
            if not options.server_store:  # its server ends with it, so there is nothing to find after a restart
                facts.append(facts_of(kind, Path(name), python))
                print(table(facts[-1:]), file=sys.stderr)
            for number, cell in enumerate(cells):
                rows.append(measure(kind, Path(name) / str(number), python, cell, bounds))
                print(table(rows[-1:]), file=sys.stderr)
    finish("\n\n".join(table(some) for some in (rows, facts) if some), options.to)


def finish(report: str, to: Path | None) -> None:
    """Prints the report with the machine's facts, and writes it to a file when one is named."""
    report += f"\n\n{platform.platform()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} at the end."
    print(report)
    if to:
        to.write_text(report + "\n")


if __name__ == "__main__":
    main()
