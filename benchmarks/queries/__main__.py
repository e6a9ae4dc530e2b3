"""Times the queries behind the pages and the drift report over 100 k and 1 M spans; prints a markdown table.

    python -m benchmarks.queries [--rows 1000000] [--store DIRECTORY]

`first` is the first run after the store was opened (the operating system may still hold the files), `warm` the median
of five more with ClickHouse's query condition cache off, CPU the processor time of one of them over all threads, which
a busy machine does not stretch. Every read sees each span once (`final = 1`), as users' do.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.queries.fill import main as fill
from evalspan.queries import catalog
from evalspan.queries.store.client import Store, open_store

Times = tuple[float, float, float]  # milliseconds: first run, warm, processor time of a warm run
HERE = Path(__file__).parent
DAY = "start_time >= '2026-11-30' AND start_time < '2026-12-01'"

QUERIES: dict[str, tuple[str, int | None]] = {
    "latest 50 traces of the last day, with texts": ("@latest", 50),
    "model by hour, one day: p50, p95, tokens, cost": (
        (
            "SELECT toStartOfHour(start_time) AS hour, request_model, sum(sample_weight) AS n, quantilesTDigest(0.5, 0.95)(duration_ns),"
            f" sum(input_tokens), sum(output_tokens), sum(cost_usd) FROM spans WHERE {DAY} AND operation = 'chat' GROUP BY 1, 2"
        ),
        200,
    ),
    "model by hour, thirty days": (
        (
            "SELECT toStartOfHour(start_time) AS hour, request_model, sum(sample_weight) AS n, quantilesTDigest(0.5, 0.95)(duration_ns),"
            " sum(input_tokens), sum(output_tokens), sum(cost_usd) FROM spans WHERE operation = 'chat' GROUP BY 1, 2"
        ),
        200,
    ),
    "drift: window means and e-detector, 3 days against 3": ("@e_detector", 500),
    "score mean by prompt version and hour, thirty days": (
        (
            "SELECT prompt_version, toStartOfHour(span_time) AS hour, avgWeighted(score, sample_weight) FROM evaluations"
            " WHERE name = 'faithfulness' GROUP BY 1, 2"
        ),
        None,
    ),
    "one trace by its id": ("SELECT * FROM spans WHERE trace_id = lower(hex(sipHash128(toUInt64(777))))", None),
    "count of all spans": ("SELECT count() FROM spans", None),
    "text in the output, one day": (
        f"SELECT count() FROM spans WHERE {DAY} AND output ILIKE '%refund policy refund%'",
        None,
    ),
    "text in the output, thirty days": ("SELECT count() FROM spans WHERE output ILIKE '%refund policy refund%'", None),
    "failures of one evaluator with their texts, one day, 200 rows": (
        (
            "SELECT input, output FROM spans WHERE start_time >= '2026-11-30' AND (trace_id, span_id) IN (SELECT trace_id, span_id"
            " FROM evaluations WHERE name = 'faithfulness' AND passed = 'fail' AND span_time >= '2026-11-30') LIMIT 200"
        ),
        None,
    ),
    "spans by user, top 20 by cost, thirty days": (
        "SELECT user_id, sum(cost_usd) AS cost FROM spans GROUP BY 1 ORDER BY cost DESC LIMIT 20",
        None,
    ),
}
LAST_DAY = {"start": "2026-11-30 00:00:00", "end": "2026-12-01 00:00:00"}
PARAMETERS = {"e_detector": {"until": "2026-12-01T00:00:00Z", "since_s": 3 * 86400}}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--store", type=Path, help="keep the data in this directory and use it again")
    chosen = options.parse_args()
    sizes = [chosen.rows // 10, chosen.rows]
    base = chosen.store or Path(tempfile.mkdtemp(prefix="evalspan-queries-"))
    measured: dict[int, dict[str, Times]] = {}
    try:
        for size in sizes:
            directory = base / str(size)
            if not directory.exists():
                fill(str(directory), size, HERE)
            measured[size] = measure(directory)
    finally:
        if not chosen.store:
            shutil.rmtree(base, ignore_errors=True)
    report(measured, sizes)


def measure(directory: Path) -> dict[str, Times]:
    times = {}
    for name, (sql, _) in QUERIES.items():
        with open_store(f"chdb://{directory}", readers=1, migrate=False) as store:
            runs = [run(store, sql) for _ in range(6)]
        walls, processors = zip(*runs[1:], strict=True)
        times[name] = (runs[0][0], statistics.median(walls), statistics.median(processors))
        print("".join(f"{value:8.1f}" for value in times[name]), f"  {name}", file=sys.stderr)
    return times


def run(store: Store, sql: str) -> tuple[float, float]:
    """Wall and processor milliseconds of one statement, of a named query, or of the two that make a list of traces."""
    started, processor = time.perf_counter(), time.process_time()
    if sql == "@latest":
        listed = catalog.get("pages/traces").run(store, **LAST_DAY).dicts()
        ids, spans = [row["trace_id"] for row in listed], [row["span_id"] for row in listed]
        assert len(ids) == 50, "the list of traces is empty: is the traffic there?"
        catalog.get("pages/trace_rows").run(store, ids=ids, spans=spans, **LAST_DAY)
    elif sql.startswith("@"):
        catalog.get(sql[1:]).run(store, **PARAMETERS[sql[1:]])
    else:
        store.query(f"{sql} SETTINGS use_query_condition_cache = 0")
    return (time.perf_counter() - started) * 1e3, (time.process_time() - processor) * 1e3


def report(measured: dict[int, dict[str, Times]], sizes: list[int]) -> None:
    small, large = sizes
    print(f"\n{platform.machine()}, {platform.system()}, Python {platform.python_version()}; milliseconds\n")
    print(f"| query | {small:,} first | warm | CPU | {large:,} first | warm | CPU | growth of CPU | to reach |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, (_, target) in QUERIES.items():
        few, many = measured[small][name], measured[large][name]
        cells = " | ".join(f"{value:.0f}" for value in (*few, *many))
        print(f"| {name} | {cells} | {many[2] / few[2]:.1f} | {target or ''} |")


if __name__ == "__main__":
    main()
