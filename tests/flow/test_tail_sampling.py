"""Tail sampling in a running service that is killed: whole traces or nothing, nothing lost undecided, nothing twice."""

from __future__ import annotations

import os
import time

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ..collector.serving import rows_of, serving
from ..collector.traffic import add_span

SETTINGS = """
[receive]
flush_ms = 50
[sampling]
mode = "tail"
rate = 0.5
root_delay_s = 0.5
timeout_s = 5
"""


def halves(count: int) -> tuple[bytes, bytes]:
    """Children and roots of `count` traces, as two requests; every tenth trace has an error in its child."""
    children, roots = ExportTraceServiceRequest(), ExportTraceServiceRequest()
    for number in range(count):
        trace_id, root_id = os.urandom(16), os.urandom(8)
        root = add_span(roots.resource_spans.add().scope_spans.add().spans)
        child = add_span(children.resource_spans.add().scope_spans.add().spans)
        root.trace_id = child.trace_id = trace_id
        root.span_id = child.parent_span_id = root_id
        if number % 10 == 0:
            child.status.code = 2  # type: ignore[assignment]
    return children.SerializeToString(), roots.SerializeToString()


def test_b07_traces_that_were_undecided_at_kill_nine_are_decided_whole_after_it(tmp_path):
    path = tmp_path / "store"
    traces, late = 0, b""
    for _ in range(3):
        with serving(path, settings=SETTINGS) as collector:
            if late:
                assert collector.post(late).status == 200
            children, late = halves(200)
            assert collector.post(children).status == 200
            traces += 200
            time.sleep(0.3)
            collector.kill()
    with serving(path, settings=SETTINGS) as collector:
        assert collector.post(late).status == 200
        end = time.monotonic() + 60
        while b'"log_backlog_bytes": 0' not in collector.request("GET", "/readyz").body:
            assert time.monotonic() < end, "the log never emptied"
            time.sleep(0.2)
        assert collector.stop() == 0
    ((spans, ids, whole, failed, weight),) = rows_of(
        path,
        "SELECT sum(n), sum(ids), countIf(n = 2), countIf(failed), sum(w) FROM (SELECT trace_id, count() AS n,"
        " uniqExact(span_id) AS ids, max(status = 'ERROR') AS failed, any(sample_weight) AS w FROM spans GROUP BY trace_id)",
    )
    assert spans == ids == 2 * whole
    assert failed == traces / 10
    assert weight == pytest.approx(traces, rel=0.25)
