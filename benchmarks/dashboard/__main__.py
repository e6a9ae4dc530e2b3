"""Times the pages of a running service over 1 M spans, and a trace of 2,000 spans in a browser; prints a markdown table.

    python -m benchmarks.dashboard [--rows 1000000] [--store DIRECTORY] [--against CHECKOUT] [--no-browser]

Every figure is of the whole answer: routing, queries, drawing, bytes on the loopback. `warm` is the median of `--rounds`
requests after two, each for a range of its own; `again` that of the same address once more, while nothing is written; CPU the processor time of the service for one of them over all its threads, which a busy machine
does not stretch. `first` is the first answer after a restart of the service. With `--against` another checkout, with
an environment in its .venv, serves the same traffic from a store of its own, and both answer in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from benchmarks.dashboard.pages import PAGES, Asked
from benchmarks.queries.__main__ import HERE as GENERATORS
from evalspan.collector.demo.service import serving

CHROMIUM = "/usr/bin/chromium"
WARMED = 2
BIG = 2000
TICKS = os.sysconf("SC_CLK_TCK")
SETTINGS = "[retention]\nspans_days = 0\n[alerts]\nenabled = false\n"
"""The generated traffic may be older than the usual retention."""


class Served(NamedTuple):
    """One running service: its address and its process."""

    url: str
    process: int


class Timing(NamedTuple):
    """Milliseconds of wall and processor for one answer, and its size in bytes."""

    wall: float
    processor: float
    size: int


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--store", type=Path, help="keep the data in this directory and use it again")
    options.add_argument("--against", type=Path, help="a checkout of another commit, with its .venv, to compare with")
    options.add_argument("--rounds", type=int, default=7, help="how often each page is measured")
    options.add_argument("--only", default="", help="only pages whose name contains this")
    options.add_argument("--no-browser", action="store_true", help="leave chromium out")
    chosen = options.parse_args()
    base = chosen.store or Path(tempfile.mkdtemp(prefix="evalspan-dashboard-"))
    pages = [page for page in PAGES if chosen.only in page.name]
    try:
        ours = prepared(base / "new" / str(chosen.rows), Path(sys.executable), chosen.rows)
        if chosen.against:
            python = chosen.against / ".venv" / "bin" / "python"
            theirs = prepared(base / "old" / str(chosen.rows), python, chosen.rows)
            with served(ours, Path(sys.executable)) as new, served(theirs, python) as old:
                compare(new, old, pages, chosen)
            return
        measure(ours, pages, chosen)
    finally:
        if not chosen.store:
            shutil.rmtree(base, ignore_errors=True)


def measure(folder: Path, pages: list[Asked], chosen: argparse.Namespace) -> None:
    """Each page after a restart, then warm."""
    with served(folder, Path(sys.executable)) as service:
        first = (time.perf_counter(), fetched(service.url + at_turn(pages[0].path, 0)), time.perf_counter())
        rows = [(page, timed(service, page.path, chosen.rounds)) for page in pages]
        again = {page.name: timed(service, at_turn(page.path, 0), 3) for page in pages}
        trace = send_big_trace(service.url)
        rows.append((Asked(f"a trace of {BIG:,} spans", "", None), timed(service, f"/traces/{trace}", chosen.rounds)))
        report(rows, again, chosen.rows)
        print(f"\nThe first page after a restart came after {(first[2] - first[0]) * 1e3:.0f} ms.")
        if not chosen.no_browser and Path(CHROMIUM).exists():
            in_browser(service.url, f"/traces/{trace}")


def prepared(folder: Path, python: Path, rows: int) -> Path:
    """The folder with a store that the commit of this interpreter filled, made now when it is not there."""
    if not (folder / "store").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [python, str(GENERATORS / "fill.py"), str(folder / "store"), str(rows), str(GENERATORS)], check=True
        )
    (folder / "evalspan.toml").write_text(SETTINGS)
    return folder


@contextmanager
def served(folder: Path, python: Path) -> Iterator[Served]:
    """The service of the commit to which the interpreter belongs, over the store of the folder."""
    with serving(folder, folder / "evalspan.toml", python=str(python)) as url:
        yield Served(url, json.loads((folder / "store" / "service.json").read_text())["pid"])


def timed(service: Served, path: str, rounds: int) -> Timing:
    """One address, warm."""
    found = [once(service, path, turn) for turn in range(WARMED + rounds)][WARMED:]
    return summed_up(found)


def summed_up(found: list[Timing]) -> Timing:
    """Median of the walls, mean of the processor time, which is counted in hundredths of a second."""
    mean = statistics.mean(one.processor for one in found)
    return Timing(statistics.median(one.wall for one in found), mean, found[-1].size)


def once(service: Served, path: str, turn: int) -> Timing:
    """One request; an address with a range of its own for each turn gets it."""
    before, began = processor_seconds(service.process), time.perf_counter()
    size = len(fetched(service.url + at_turn(path, turn)))
    wall = time.perf_counter() - began
    return Timing(wall * 1e3, (processor_seconds(service.process) - before) * 1e3, size)


def at_turn(path: str, turn: int) -> str:
    """The address with the range of this turn."""
    return path.format(minute=turn % 12 * 5, hour=turn // 12 % 24)


def compare(new: Served, old: Served, pages: list[Asked], chosen: argparse.Namespace) -> None:
    """Both services answer in turns; processor time is compared, which load does not stretch."""
    print(f"\n{chosen.rows:,} spans; {platform.machine()}, {platform.system()}, Python {platform.python_version()}\n")
    print("| page | before, CPU ms | now, CPU ms | ratio | to reach | before, ms | now, ms |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for page in pages:
        if page.before is None:
            continue
        turns: tuple[list[Timing], list[Timing]] = ([], [])
        for turn in range(WARMED + chosen.rounds):
            turns[0].append(once(old, page.before or page.path, turn))
            turns[1].append(once(new, page.path, turn))
        then, now = (summed_up(found[WARMED:]) for found in turns)
        ratio = now.processor / max(then.processor, 0.1)
        print(
            f"| {page.name} | {then.processor:.0f} | {now.processor:.0f} | {ratio:.2f} | {page.ratio or ''} | {then.wall:.0f} | {now.wall:.0f} |",
            flush=True,
        )


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:
        found: bytes = answer.read()
    return found


def processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def send_big_trace(url: str) -> str:
    """One trace, four levels deep, sent as an SDK would; returns its id once the service shows it."""
    trace, start = os.urandom(16), time.time_ns() - 60 * 10**9
    spans = [
        Span(
            trace_id=trace,
            span_id=number.to_bytes(8, "big"),
            parent_span_id=b"" if number == 1 else max(1, number // 14).to_bytes(8, "big"),
            name=f"step {number}",
            start_time_unix_nano=start + number * 10**6,
            end_time_unix_nano=start + (number + 40) * 10**6,
        )
        for number in range(1, BIG + 1)
    ]
    body = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])])
    request = urllib.request.Request(
        f"{url}/v1/traces", body.SerializeToString(), {"Content-Type": "application/x-protobuf"}
    )
    urllib.request.urlopen(request, timeout=30).close()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            fetched(f"{url}/traces/{trace.hex()}")
        except urllib.error.HTTPError:
            time.sleep(0.2)
        else:
            return trace.hex()
    raise SystemExit("the trace of many spans did not arrive")


def in_browser(url: str, path: str) -> None:
    """How long the trace takes to stand in a browser, to fold, and to unfold its first fold."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.goto(f"{url}/status")  # the shared files are in the cache, as for whoever comes from the list
        opened, folded, unfolded = [], [], []
        for _ in range(5):
            page.goto(url + path)
            opened.append(page.evaluate("() => performance.getEntriesByType('navigation')[0].loadEventEnd"))
            folded.append(
                page.evaluate(
                    "() => { const began = performance.now(); document.querySelector('#waterfall button.toggle').click();"
                    " document.body.getBoundingClientRect(); return performance.now() - began; }"
                )
            )
            page.locator("#waterfall button.toggle").first.click()
            began = time.perf_counter()
            shown = page.locator("#waterfall li[data-row]").count()
            page.locator("#waterfall li.fold button").last.click()
            page.wait_for_function(f"() => document.querySelectorAll('#waterfall li[data-row]').length > {shown}")
            unfolded.append((time.perf_counter() - began) * 1e3)
        browser.close()
    host = urlsplit(url).netloc
    print(f"\nIn chromium, from {host}, median of five, milliseconds:\n")
    print("| a trace of 2,000 spans | ms | to reach |\n| --- | ---: | ---: |")
    print(f"| opens (load event) | {statistics.median(opened):.0f} | 1000 |")
    print(f"| folds its root | {statistics.median(folded):.0f} | |")
    print(f"| unfolds spans that were left out | {statistics.median(unfolded):.0f} | |")


def report(rows: list[tuple[Asked, Timing]], again: dict[str, Timing], spans: int) -> None:
    print(f"\n{spans:,} spans; {platform.machine()}, {platform.system()}, Python {platform.python_version()}\n")
    print("| page | warm, ms | CPU, ms | again, ms | KB | to reach, ms |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for page, found in rows:
        same = f"{again[page.name].wall:.0f}" if page.name in again else ""
        print(
            f"| {page.name} | {found.wall:.0f} | {found.processor:.0f} | {same} | {found.size / 1e3:.0f} | {page.goal or ''} |"
        )


if __name__ == "__main__":
    main()
