"""Head sampling and dialects through a running service: what a client sends, what SQL then says of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ..collector.serving import rows_of, serving
from ..collector.traffic import request_of

RECORDINGS = Path(__file__).parents[1] / "collector" / "dialects" / "recordings"


def drained(collector) -> None:
    end = time.monotonic() + 60
    while b'"log_backlog_bytes": 0' not in collector.request("GET", "/readyz").body:
        assert time.monotonic() < end, "the log never emptied"
        time.sleep(0.1)


def test_b04_weights_in_the_store_add_up_to_the_traffic_and_errors_are_all_there(tmp_path):
    path = tmp_path / "store"
    with serving(path, settings="[receive]\nflush_ms = 50\n[sampling]\nmode = 'head'\nrate = 0.2\n") as collector:
        for _ in range(5):
            request = request_of(400)
            for span in request.resource_spans[0].scope_spans[0].spans[:20]:
                span.status.code = 2
            assert collector.post(request.SerializeToString()).status == 200
        drained(collector)
        dropped = sum(v for name, v in collector.metrics().items() if name.startswith("spans_sampled_out_total"))
        assert collector.stop() == 0
    ((kept, stands_for, errors, error_weight, rules),) = rows_of(
        path,
        "SELECT count(), sum(sample_weight), countIf(status = 'ERROR'), sumIf(sample_weight, status = 'ERROR'),"
        " arraySort(groupUniqArray(sample_rule)) FROM spans",
    )
    assert kept + dropped == 2000
    assert (errors, error_weight) == (100, 100)
    assert stands_for == pytest.approx(2000, rel=0.25)
    assert set(rules) <= {"base", "errors", "slow"}
    assert {"base", "errors"} <= set(rules)


def test_a_recorded_foreign_request_posted_as_it_was_sent_has_our_columns(tmp_path):
    path = tmp_path / "store"
    with serving(path) as collector:
        for name in ("openinference", "langfuse"):
            assert collector.post((RECORDINGS / f"{name}.otlp").read_bytes()).status == 200
        request = ExportTraceServiceRequest()
        span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=os.urandom(16), span_id=os.urandom(8))
        span.attributes.add(key="openinference.span.kind").value.string_value = "LLM"
        span.attributes.add(key="llm.model_name").value.string_value = "one-of-ours"
        assert collector.post(request.SerializeToString()).status == 200
        drained(collector)
        assert collector.stop() == 0
    found = rows_of(path, "SELECT conversation_id, count() FROM spans WHERE operation = 'chat' GROUP BY 1 ORDER BY 1")
    assert found == [["", 1], ["session-1", 14]]
