"""A hundred rules over twenty metrics, evaluated once a minute over a million evaluations: the share of a core that takes.

`python -m benchmarks.alerts [--evaluations 1000000] [--looks 3]` fills a store, evaluates all rules as the service does (those
that ask the same share one run of the query) and prints processor seconds a look, which a busy machine does not stretch.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta

from evalspan.collector.alerts.config import AlertRule
from evalspan.collector.alerts.load import persist_rules
from evalspan.collector.alerts.watcher import Watcher
from evalspan.queries.host.telemetry import Telemetry
from evalspan.queries.store.client import Store, open_store

UNTIL = datetime(2026, 6, 15, tzinfo=UTC)
METRICS = tuple(f"metric_{number:02d}" for number in range(20))
FILL = """
INSERT INTO evaluations (project, evaluation_id, name, evaluator_version, source, trace_id, span_id, score, passed, span_time, service, segment)
SELECT 'default', generateUUIDv4(), concat('metric_', leftPad(toString(number % 20), 2, '0')), '1', 'code', lower(hex(sipHash128(number))), 's',
    0.8 + randNormal(0, 0.15), 'pass', toDateTime64({until:String}, 3, 'UTC') - toIntervalMillisecond(intDiv(3024000000 * (number + 1), {count:UInt64})),
    ['shop', 'support'][number % 7 % 2 + 1], ['free', 'pro', 'team'][sipHash64(number) % 3 + 1]
FROM numbers({count:UInt64}) SETTINGS max_threads = 1
"""
KINDS = {
    "fell": ("e_detector", {"direction": "decrease", "window_s": 21600}, "alarm != ''"),
    "moved": ("e_detector", {"direction": "decrease", "window_s": 21600}, "alarm != '' AND statistic > 10 * threshold"),
    "low": ("score_trend", {"since_s": 86400, "window_s": 21600}, "pass_n >= 20 AND pass_high < 0.5"),
    "unscored": ("score_trend", {"since_s": 86400, "window_s": 21600}, "share_unscored > 0.5"),
    "chart": ("cusum", {"window_s": 86400}, "alarm = 'decrease'"),
}


def rules() -> list[AlertRule]:
    """Five kinds of rules for each of twenty metrics."""
    return [
        AlertRule(name=f"{kind} {metric}", query=query, parameters={**given, "metric": metric}, condition=condition, by=("metric",))
        for kind, (query, given, condition) in KINDS.items()
        for metric in METRICS
    ]  # fmt: skip


def looks(store: Store, count: int) -> list[float]:
    """Processor seconds of each of `count` looks at all rules, one a minute."""
    written = rules()
    persist_rules(store, written, [], UNTIL)
    watcher = Watcher(store, written, [], Telemetry())
    spent = []
    for number in range(count):
        begun = time.process_time()
        asyncio.run(watcher.look(UNTIL + timedelta(minutes=number)))
        spent.append(time.process_time() - begun)
    return spent


def main() -> None:
    """Prints what a look costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--evaluations", type=int, default=1_000_000)
    parser.add_argument("--looks", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_store(f"chdb://{folder}/store") as store:
        store.command(FILL, {"until": f"{UNTIL:%Y-%m-%d %H:%M:%S}", "count": asked.evaluations})
        first, *later = looks(store, 1 + asked.looks)
    typical = statistics.median(later)
    print("| rules | evaluations | first look, CPU s | later looks, CPU s | share of a core at one a minute |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    print(f"| {len(rules())} | {asked.evaluations:,} | {first:.2f} | {typical:.2f} | {typical / 60:.1%} |")


if __name__ == "__main__":
    main()
