"""Online evaluation inside a running service: it neither stalls the receivers nor loses or doubles work over kill -9."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import openai
import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import evalspan

from ..collector.serving import Collector, rows_of, serving, until
from ..collector.traffic import request_of
from ..scripted import scripted_server

EVALUATORS = """
import time
from pathlib import Path
from evalspan.evaluators import Score, evaluator

@evaluator(name="slow", version="1", threshold=0.5)
def slow(output):
    time.sleep(0.02)
    return Score(1.0)

@evaluator(name="stalled", version="1", threshold=0.5, inline=True)
def stalled(output):
    while not Path("release").exists():  # holds up the event loop that it runs in
        time.sleep(0.05)
    return Score(1.0)
"""
RULES = """
[receive]
flush_ms = 100
[evaluation]
poll_s = 0.2
[[evaluation.rules]]
name = "watch"
evaluators = ["{module}:{name}"]
quiet_s = 0.5
timeout_s = 120
backfill_from = 2020-01-01
"""


def settings(path: Path, name: str) -> str:
    module = f"online_{path.parent.name.replace('-', '_')}"
    (path.parent / f"{module}.py").write_text(EVALUATORS)
    return RULES.format(module=module, name=name)


def scored(collector: Collector) -> float:
    return collector.metrics().get('online_evaluation_total{rule="watch",stage="scored"}', 0.0)


def backlog(collector: Collector) -> float:
    return float(json.loads(collector.request("GET", "/readyz").body)["log_backlog_bytes"])


def test_b32_kill_nine_of_the_worker_neither_loses_nor_doubles_an_evaluation(tmp_path):
    path = tmp_path / "store"
    rules = settings(path, "slow")
    with serving(path, settings=rules) as collector:
        for _ in range(3):
            assert collector.post(request_of(300).SerializeToString()).status == 200
        until(lambda: scored(collector) >= 200)
        collector.kill()
    ((before,),) = rows_of(path, "SELECT count() FROM evaluations")
    assert 0 < before < 900
    with serving(path, settings=rules) as collector:
        # What was written just before the kill is not judged again; a page that was under way is.
        until(lambda: scored(collector) >= 900 - before)
        assert collector.stop() == 0
    ((rows, ids, spans, weight),) = rows_of(
        path, "SELECT count(), uniqExact(evaluation_id), uniqExact(span_id), sum(sample_weight) FROM evaluations"
    )
    assert (rows, ids, spans, weight) == (900, 900, 900, 900)


def test_a11_w01_a_judge_that_blocks_its_loop_holds_up_neither_receivers_nor_inserts(tmp_path):
    path = tmp_path / "store"
    with serving(path, settings=settings(path, "stalled")) as collector:
        assert collector.post(request_of(5).SerializeToString()).status == 200
        until(lambda: collector.metrics().get("online_lag_seconds", 0) > 0)
        time.sleep(2)  # the judge has the first spans and hangs
        for _ in range(20):
            assert collector.post(request_of(100).SerializeToString()).status == 200
        until(lambda: backlog(collector) == 0)
        assert scored(collector) == 0
        (tmp_path / "release").touch()
        until(lambda: scored(collector) == 2005)
        assert collector.stop() == 0
    assert rows_of(path, "SELECT count() FROM evaluations WHERE passed = 'pass'") == [[2005]]


@contextmanager
def traced_app(collector: Collector) -> Iterator[Callable[[float], list[float]]]:
    """An app with one call after the other, traced into the collector; it calls for so long and returns the latencies."""
    provider = TracerProvider()
    exporter = OTLPSpanExporter(endpoint=f"http://{collector.address}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=200))
    handle = evalspan.init(tracer_provider=provider)
    with scripted_server() as server, openai.OpenAI(api_key="k", base_url=server.url, max_retries=0) as client:

        def calls(seconds: float) -> list[float]:
            latencies, end = [], time.monotonic() + seconds
            while time.monotonic() < end:
                began = time.perf_counter()
                client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])
                latencies.append(time.perf_counter() - began)
                time.sleep(0.02)
            assert provider.force_flush()
            return latencies

        try:
            yield calls
        finally:
            handle.shutdown()
            provider.shutdown()
            evalspan.uninstrument()


@pytest.mark.slow
def test_w01_a_stalled_judge_leaves_the_apps_call_latency_as_it_was(tmp_path):
    path, release = tmp_path / "store", tmp_path / "release"
    release.touch()
    free: list[float] = []
    stalled: list[float] = []
    with serving(path, settings=settings(path, "stalled")) as collector, traced_app(collector) as calls:
        first = len(calls(1.0))

        def all_scored() -> bool:
            return bool(scored(collector) == first + len(free) + len(stalled))

        for _ in range(4):  # in turns, so that whatever else this machine does weighs on both
            free.extend(calls(1.0))
            until(all_scored)
            release.unlink()
            before = scored(collector)
            stalled.extend(calls(3.0))
            assert scored(collector) == before
            release.touch()
        until(all_scored)
        assert collector.stop() == 0
    assert median(stalled) < 1.5 * median(free) + 0.01


def test_a_rule_that_cannot_run_is_named_at_start_and_in_sql_and_the_service_runs(tmp_path):
    path = tmp_path / "store"
    rules = settings(path, "slow") + '[[evaluation.rules]]\nname = "bad"\nevaluators = ["nowhere_at_all:x"]\n'
    with serving(path, settings=rules) as collector:
        assert collector.post(request_of(5).SerializeToString()).status == 200
        until(lambda: scored(collector) == 5)
        assert collector.metrics()["online_rules_off"] == 1
        assert collector.metrics()['evaluation_duration_seconds_count{rule="watch"}'] == 5
        assert collector.stop() == 0
        said = "".join(collector.said)
    assert f"{tmp_path / 'store.toml'}:14: rule 'bad' is off: no module 'nowhere_at_all'" in said
    ((problem,),) = rows_of(
        path,
        "SELECT JSONExtractString(argMax(position_key, version), 'problem') FROM cursors WHERE consumer = 'online/bad/0-1'",
    )
    assert "nowhere_at_all" in problem
