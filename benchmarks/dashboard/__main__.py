"""Times the pages of a running service over 1 M spans, and a trace of 2,000 spans in a browser; prints a markdown table.

    python -m benchmarks.dashboard [--rows 1000000] [--store DIRECTORY] [--no-browser]

Every figure is of the whole answer: routing, queries, drawing, bytes on the loopback. `warm` is the median of nine
requests after two, CPU the processor time of the service for one of them over all its threads, which a busy machine
does not stretch. Ranges end where the generated traffic ends.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from benchmarks.queries.__main__ import fill
from evalspan.collector.demo.service import serving

CHROMIUM = "/usr/bin/chromium"
DAY = "from=2026-11-12T00:00&to=2026-11-13T00:00"
DAYS = "from=2026-11-01T00:00&to=2026-11-13T00:00"
PAGES: dict[str, tuple[str, int | None]] = {
    "traces, one day": (f"/traces?{DAY}", 100),
    "traces, twelve days": (f"/traces?{DAYS}", 100),
    "traces as JSON, twelve days": (f"/traces.json?{DAYS}", 100),
    "traces of one evaluator's failures, one day": (f"/traces?{DAY}&failed=faithfulness", None),
    "facets and outliers, one day (after the page stands)": (f"/traces/facets?{DAY}", None),
    "scores, twelve days": (f"/scores?{DAYS}", None),
    "status, twelve days": (f"/status?{DAYS}", None),
    "review, one day": (f"/review?{DAY}", None),
}
WARMED, MEASURED = 2, 9
BIG = 2000
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--store", type=Path, help="keep the data in this directory and use it again")
    options.add_argument("--no-browser", action="store_true", help="leave chromium out")
    chosen = options.parse_args()
    base = chosen.store or Path(tempfile.mkdtemp(prefix="evalspan-dashboard-"))
    folder = base / str(chosen.rows)
    try:
        if not (folder / "store").exists():
            folder.mkdir(parents=True, exist_ok=True)
            fill(folder / "store", chosen.rows)
        config = folder / "evalspan.toml"
        # The generated traffic is older than the usual retention.
        config.write_text("[retention]\nspans_days = 0\n[alerts]\nenabled = false\n")
        with serving(folder, config) as url:
            process = json.loads((folder / "store" / "service.json").read_text())["pid"]
            rows = [timed(url, process, name, path, most) for name, (path, most) in PAGES.items()]
            trace = send_big_trace(url)
            rows.append(timed(url, process, f"a trace of {BIG:,} spans", f"/traces/{trace}", None))
            report(rows, chosen.rows)
            if not chosen.no_browser and Path(CHROMIUM).exists():
                in_browser(url, f"/traces/{trace}")
    finally:
        if not chosen.store:
            shutil.rmtree(base, ignore_errors=True)


def timed(url: str, process: int, name: str, path: str, most: int | None) -> tuple[str, float, float, int, int | None]:
    """Name, median milliseconds, milliseconds of processor, bytes, and what is to be reached."""
    for _ in range(WARMED):
        size = len(fetched(url + path))
    walls = []
    before = processor_seconds(process)
    for _ in range(MEASURED):
        began = time.perf_counter()
        fetched(url + path)
        walls.append((time.perf_counter() - began) * 1e3)
    spent = (processor_seconds(process) - before) / MEASURED * 1e3
    print(f"{statistics.median(walls):8.1f} {spent:8.1f} {size:9,}  {name}", file=sys.stderr)
    return name, statistics.median(walls), spent, size, most


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


def report(rows: list[tuple[str, float, float, int, int | None]], spans: int) -> None:
    print(f"\n{spans:,} spans; {platform.machine()}, {platform.system()}, Python {platform.python_version()}\n")
    print("| page | warm, ms | CPU, ms | KB | to reach, ms |\n| --- | ---: | ---: | ---: | ---: |")
    for name, wall, spent, size, most in rows:
        print(f"| {name} | {wall:.0f} | {spent:.0f} | {size / 1e3:.0f} | {most or ''} |")


if __name__ == "__main__":
    main()
