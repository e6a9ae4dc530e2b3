"""OTLP as clients speak it, against a running collector: encodings, refusals with their reasons, nothing dropped silently."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import math
import socket
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
import zstandard
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from .serving import JSON, PROTOBUF, Collector, rows_of, serving, until
from .sql_port import ask
from .traffic import request_of, span_ids

SETTINGS = """
[receive]
max_body_bytes = 4194304
max_attribute_bytes = 100000
header_timeout_s = 1
body_timeout_s = 2
flush_ms = 50
"""
KEY, OPERATOR = "the-key-of-project-number-", "the-key-of-the-operator"
NUMBERS: dict[str, Any] = {"output_format_json_quote_64bit_integers": "0"}


@pytest.fixture(scope="module")
def collector(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("receive") / "store", "--grpc-port", "0", settings=SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    """One collector in which each test has a project of its own."""
    keys = ", ".join(f'"{KEY}{number}" = "p{number}"' for number in range(30))
    settings = f'{SETTINGS}[auth]\nkeys = {{ {keys} }}\noperator_keys = ["{OPERATOR}"]\n'
    flags = ("--grpc-port", "0", "--sql-port", "0")
    with serving(tmp_path_factory.mktemp("stored") / "store", *flags, settings=settings) as running:
        yield running, itertools.count()


@pytest.fixture
def stored(keyed):
    """Sends bodies as a project of the test's own, and returns what the SQL says once all of them are in the store."""

    def send(*bodies: tuple[bytes, str, str], sql: str, **headers: str):
        running, numbers = keyed
        key = f"{KEY}{next(numbers)}"
        answers = [
            running.post(body, kind, route, Authorization=f"Bearer {key}", **headers) for body, kind, route in bodies
        ]
        until(lambda: not running.metrics(OPERATOR)["log_backlog_bytes"])
        found = ask(running.owner["sql"], f"{sql} FORMAT JSONCompact", user="x", password=key, **NUMBERS)
        return answers, json.loads(found.text)["data"]

    return send


def status_of(answer) -> Status:
    return Status.FromString(answer.body)


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", zstandard.compress), ("identity", bytes)],
)
def test_every_content_encoding_of_the_protocol_is_read(collector: Collector, encoding, compress) -> None:
    before = collector.metrics().get('spans_accepted_total{project="default"}', 0)
    answer = collector.post(compress(request_of(3).SerializeToString()), Content_Encoding=encoding)
    assert (answer.status, answer.headers["Content-Type"]) == (200, PROTOBUF)
    assert not ExportTraceServiceResponse.FromString(answer.body).HasField("partial_success")
    assert collector.metrics()['spans_accepted_total{project="default"}'] == before + 3


def test_a_body_that_inflates_beyond_the_limit_is_413_and_costs_no_memory(collector: Collector) -> None:
    before = collector.resident_bytes()
    for encoding, compress in (("gzip", gzip.compress), ("zstd", zstandard.compress), ("deflate", zlib.compress)):
        bomb = compress(bytes(300_000_000))
        answer = collector.post(bomb, Content_Encoding=encoding)
        assert answer.status == 413, encoding
        assert "4194304" in status_of(answer).message
    assert collector.resident_bytes() - before < 100_000_000


def test_a_100_mb_body_is_413_before_it_is_held(collector: Collector) -> None:
    before = collector.resident_bytes()
    answer = collector.post(bytes(100_000_000))
    assert answer.status == 413
    assert status_of(answer).code == 8
    assert collector.resident_bytes() - before < 50_000_000
    assert collector.post(b"").status == 200


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"\x0a\x05abc", b"hello"])
def test_a_malformed_body_is_400_with_a_status_and_stores_nothing(collector: Collector, body) -> None:
    before = collector.metrics().get('spans_accepted_total{project="default"}', 0)
    for route in ("traces", "logs", "metrics"):
        answer = collector.post(body, path=f"/v1/{route}")
        assert (answer.status, answer.headers["Content-Type"]) == (400, PROTOBUF)
        assert status_of(answer).code == 3
        assert "not a protobuf Export" in status_of(answer).message
    assert collector.metrics().get('spans_accepted_total{project="default"}', 0) == before


def test_a_damaged_or_unknown_encoding_is_refused_with_its_reason(collector: Collector) -> None:
    whole = gzip.compress(request_of(1).SerializeToString())
    assert collector.post(whole[:-5], Content_Encoding="gzip").status == 400
    assert collector.post(b"not gzip", Content_Encoding="gzip").status == 400
    unknown = collector.post(whole, Content_Encoding="br")
    assert unknown.status == 415
    assert "zstd" in status_of(unknown).message


def test_a_foreign_content_type_is_415_and_a_wrong_method_405(collector: Collector) -> None:
    assert collector.post(b"x", "text/plain").status == 415
    assert collector.request("GET", "/v1/traces").status == 405


@pytest.mark.parametrize(("method", "path", "status"), [("PUT", "/v1/traces", 405), ("POST", "/v1/nothing", 404)])
def test_wrong_methods_and_paths_under_v1_are_a_status_in_the_requests_type(
    collector: Collector, method, path, status
) -> None:
    answer = collector.request(method, path, b"", {"Content-Type": PROTOBUF})
    assert (answer.status, answer.headers["Content-Type"]) == (status, PROTOBUF)
    assert "/v1/traces" in status_of(answer).message
    assert answer.headers.get("Allow") == ("POST" if status == 405 else None)
    answer = collector.request(method, path, b"", {"Content-Type": "Application/JSON; charset=utf-8"})
    assert json.loads(answer.body)["code"] == 12


@pytest.mark.parametrize("given", ["APPLICATION/X-PROTOBUF", "application/x-protobuf; charset=utf-8"])
def test_a_content_type_in_capitals_or_with_parameters_is_the_same_type(collector: Collector, given) -> None:
    assert collector.post(request_of(1).SerializeToString(), given).status == 200
    refused = collector.post(b"\xff", given)
    assert (refused.status, refused.headers["Content-Type"], status_of(refused).code) == (400, PROTOBUF, 3)


def test_ids_in_base64_are_told_apart_from_hexadecimal_ones(collector: Collector) -> None:
    span = {"traceId": "W47/95gDgQPSabYzgT/GDA==", "spanId": "7uGbfsPBsXQ=", "name": "a"}
    answer = collector.post(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode(), JSON)
    assert answer.status == 400
    assert "not in base64" in json.loads(answer.body)["message"]


def test_chunked_bodies_count_while_they_are_read_and_the_last_of_too_many_senders_gets_503(tmp_path) -> None:
    settings = "[receive]\nmax_body_bytes = 4000000\nmax_inflight_bytes = 8000000\nbody_timeout_s = 3"
    with serving(tmp_path / "store", settings=settings) as collector:
        host, port = collector.address.split(":")
        head = f"POST /v1/traces HTTP/1.1\r\nHost: {host}\r\nContent-Type: {PROTOBUF}\r\nTransfer-Encoding: chunked\r\n\r\n"
        with contextlib.ExitStack() as stack:
            senders = [stack.enter_context(socket.create_connection((host, int(port)), timeout=20)) for _ in range(5)]
            for sender in senders:
                sender.sendall(head.encode() + b"%x\r\n" % 3_000_000 + bytes(3_000_000) + b"\r\n")
            answers = [sender.recv(4000) for sender in senders]
        statuses = sorted(answer.split()[1] for answer in answers)
        assert statuses == [b"408", b"408", b"503", b"503", b"503"]
        assert all(b"Retry-After: 1" in answer for answer in answers if b" 503 " in answer)
        too_long = collector.request("POST", "/v1/traces", iter([bytes(1_000_000)] * 5), {"Content-Type": PROTOBUF})
        assert too_long.status == 413
        # What was held is given back.
        whole = [request_of(1).SerializeToString()]
        assert collector.request("POST", "/v1/traces", iter(whole), {"Content-Type": PROTOBUF}).status == 200


def test_empty_requests_are_fine(collector: Collector) -> None:
    for route in ("traces", "logs", "metrics"):
        assert collector.post(b"", path=f"/v1/{route}").status == 200
        answer = collector.post(b"{}", JSON, f"/v1/{route}")
        assert (answer.status, json.loads(answer.body)) == (200, {})


def test_json_lands_like_protobuf_with_hexadecimal_ids(stored) -> None:
    span = {
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "eee19b7ec3c1b174",
        "parentSpanId": "eee19b7ec3c1b173",
        "name": "chat m",
        "kind": 3,
        "startTimeUnixNano": "1790000000000000000",
        "endTimeUnixNano": 1790000001000000000,
        "attributes": [
            {"key": "gen_ai.request.model", "value": {"stringValue": "m"}},
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "7"}},
        ],
        "links": [{"traceId": "5b8efff798038103d269b633813fc60d", "spanId": "eee19b7ec3c1b175"}],
        "status": {"code": 2, "message": "broken"},
        "aFieldFromTheFuture": 1,
    }
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    (answer,), rows = stored(
        (body, JSON, "/v1/traces"),
        sql="SELECT trace_id, span_id, parent_span_id, name, kind, status, status_message, duration_ns, request_model,"
        " input_tokens, links.trace_id FROM spans",
    )
    assert (answer.status, answer.headers["Content-Type"].split(";")[0]) == (200, JSON)
    assert rows == [
        [
            "5b8efff798038103d269b633813fc60c",
            "eee19b7ec3c1b174",
            "eee19b7ec3c1b173",
            "chat m",
            "CLIENT",
            "ERROR",
            "broken",
            1_000_000_000,
            "m",
            7,
            ["5b8efff798038103d269b633813fc60d"],
        ]
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"resourceSpans": 3}',
        b'{"resourceSpans": [3]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}',
        b"[" * 100_000,
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": 3}]}]}]}',
    ],
)
def test_malformed_json_is_400_with_a_json_status(collector: Collector, body) -> None:
    answer = collector.post(body, JSON)
    assert answer.status == 400
    assert json.loads(answer.body)["code"] == 3


def test_spans_without_identity_are_rejected_by_partial_success_and_the_others_stored(stored) -> None:
    request = request_of(4)
    spans = request.resource_spans[0].scope_spans[0].spans
    spans[0].trace_id = bytes(16)
    spans[1].span_id = bytes(8)
    spans[2].trace_id = b"short"
    (answer,), rows = stored((request.SerializeToString(), PROTOBUF, "/v1/traces"), sql="SELECT span_id FROM spans")
    partial = ExportTraceServiceResponse.FromString(answer.body).partial_success
    assert (answer.status, partial.rejected_spans) == (200, 3)
    assert "all zero" in partial.error_message
    assert rows == [[spans[3].span_id.hex()]]


@pytest.mark.parametrize(
    ("start", "end", "seconds_ago"), [(0, 0, 0), (0, 3_600, 3_600), (2**63 + 5, 0, 0), (2**64 - 1, 60, 60)]
)
def test_a_span_without_a_usable_time_is_kept_in_the_present_and_says_so(stored, start, end, seconds_ago) -> None:
    # As of 1970 it would be the first that retention drops; after 2262 it would turn up in 1677.
    request, now = request_of(2), time.time_ns()
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.start_time_unix_nano, span.end_time_unix_nano = start, now - end * 10**9 if end else 0
    (answer, again), rows = stored(
        *[(request.SerializeToString(), PROTOBUF, "/v1/traces")] * 2,
        sql="SELECT toUnixTimestamp64Nano(start_time), duration_ns, attributes['evalspan.start_time_unix_nano'] FROM spans"
        f" WHERE span_id = '{span.span_id.hex()}'",
    )
    for one in (answer, again):
        partial = ExportTraceServiceResponse.FromString(one.body).partial_success
        assert (one.status, partial.rejected_spans) == (200, 0)
        assert "1 spans without a usable start_time_unix_nano" in partial.error_message
    ((stored_start, duration, said),) = rows
    assert abs(int(stored_start) - (now - seconds_ago * 10**9)) < 61 * 10**9
    assert (duration, said) == (0, str(start))


def test_an_oversized_attribute_is_stored_cut_with_a_mark_and_a_warning(stored) -> None:
    request = request_of(1, attributes={"gen_ai.input.messages": "é" * 1_000_000, "small": "kept"})
    (answer,), rows = stored(
        (request.SerializeToString(), PROTOBUF, "/v1/traces"),
        sql="SELECT length(input), attributes['evalspan.truncated'], attributes['small'], isValidUTF8(input) FROM spans",
    )
    partial = ExportTraceServiceResponse.FromString(answer.body).partial_success
    assert (answer.status, partial.rejected_spans) == (200, 0)
    assert "cut" in partial.error_message
    assert rows == [[100_000, '["gen_ai.input.messages"]', "kept", 1]]


def test_a_request_that_is_sent_again_is_stored_once(stored) -> None:
    request = request_of(5)
    body = request.SerializeToString()
    answers, rows = stored(
        *[(body, PROTOBUF, "/v1/traces")] * 4, sql="SELECT span_id, count() FROM spans GROUP BY span_id"
    )
    assert {answer.status for answer in answers} == {200}
    assert sorted(rows) == sorted([span_id, 1] for span_id in span_ids(request))


def score_event(span, name="helpful", value: float | None = 1.0, label="", event="gen_ai.evaluation.result"):
    request = ExportLogsServiceRequest()
    record = (
        request.resource_logs.add()
        .scope_logs.add()
        .log_records.add(event_name=event, trace_id=span.trace_id, span_id=span.span_id, time_unix_nano=time.time_ns())
    )
    values = {"gen_ai.evaluation.name": name, "gen_ai.evaluation.score.label": label, "ticket": "T-1"}
    for key, text in values.items():
        if text:
            record.attributes.add(key=key).value.string_value = text
    if value is not None:
        record.attributes.add(key="gen_ai.evaluation.score.value").value.double_value = value
    return request


def test_evaluation_events_become_rows_with_their_spans_dimensions(stored) -> None:
    spans = request_of(1, service="shop", attributes={"gen_ai.prompt.version": "7"})
    span = spans.resource_spans[0].scope_spans[0].spans[0]
    event = score_event(span, value=0.25, label="fail").SerializeToString()
    answers, rows = stored(
        (spans.SerializeToString(), PROTOBUF, "/v1/traces"),
        (event, PROTOBUF, "/v1/logs"),
        (event, PROTOBUF, "/v1/logs"),
        sql="SELECT name, score, label, passed, source, trace_id, span_id, service, prompt_version, request_model,"
        " metadata['ticket'], sample_weight FROM evaluations",
    )
    assert {answer.status for answer in answers} == {200}
    ids = [span.trace_id.hex(), span.span_id.hex()]
    assert rows == [["helpful", 0.25, "fail", "fail", "sdk", *ids, "shop", "7", "test-model", "T-1", 1.0]]


def test_a_score_without_its_span_is_stored_with_the_time_of_the_event(stored) -> None:
    span = request_of(1).resource_spans[0].scope_spans[0].spans[0]
    event = score_event(span, value=None, label="good")
    _, rows = stored(
        (event.SerializeToString(), PROTOBUF, "/v1/logs"),
        sql="SELECT name, score, label, passed, abs(dateDiff('second', span_time, now())) < 600 FROM evaluations",
    )
    assert rows == [["helpful", None, "good", "unknown", True]]


def test_messages_sent_as_log_events_land_in_their_spans_input_and_output(stored) -> None:
    request = request_of(2)
    spans = request.resource_spans[0].scope_spans[0].spans
    for span in spans:
        kept = [item for item in span.attributes if not item.key.endswith(".messages")]
        span.ClearField("attributes")
        span.attributes.extend(kept)
    logs = ExportLogsServiceRequest()
    records = logs.resource_logs.add().scope_logs.add().log_records
    said = [("gen_ai.system.message", "Be brief."), ("gen_ai.user.message", "What is the price?")]
    for name, text in said:
        record = records.add(event_name=name, trace_id=spans[0].trace_id, span_id=spans[0].span_id)
        record.body.kvlist_value.values.add(key="content").value.string_value = text
    choice = records.add(event_name="gen_ai.choice", trace_id=spans[0].trace_id, span_id=spans[0].span_id)
    choice.body.kvlist_value.values.add(key="finish_reason").value.string_value = "stop"
    message = choice.body.kvlist_value.values.add(key="message").value.kvlist_value
    message.values.add(key="content").value.string_value = "49 dollars."
    details = records.add(
        event_name="gen_ai.client.inference.operation.details", trace_id=spans[1].trace_id, span_id=spans[1].span_id
    )
    whole = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Hello"}]}])
    details.attributes.add(key="gen_ai.input.messages").value.string_value = whole
    answers, rows = stored(
        (logs.SerializeToString(), PROTOBUF, "/v1/logs"),  # before the spans, as a batch processor may send them
        (request.SerializeToString(), PROTOBUF, "/v1/traces"),
        sql="SELECT span_id, input, output, system_hash, input_preview FROM spans FINAL",
    )
    assert {(answer.status, answer.body) for answer in answers} == {(200, b"")}
    found = {row[0]: row[1:] for row in rows}
    assert len(rows) == 2
    given, got, system_hash, preview = found[spans[0].span_id.hex()]
    assert [(each["role"], each["parts"][0]["content"]) for each in json.loads(given)] == [
        ("system", "Be brief."),
        ("user", "What is the price?"),
    ]
    assert json.loads(got)[0]["parts"] == [{"type": "text", "content": "49 dollars."}]
    assert json.loads(got)[0]["finish_reason"] == "stop"
    assert len(system_hash) == 16
    assert preview == given[:200]
    assert json.loads(found[spans[1].span_id.hex()][0]) == json.loads(whole)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"event": "app.log"}, "only gen_ai.evaluation.result"),
        ({"value": math.nan}, "not a finite number"),
        ({"value": None}, "neither"),
        ({"name": ""}, "gen_ai.evaluation.name is missing"),
    ],
)
def test_log_records_that_are_no_scores_are_rejected_with_the_reason(collector: Collector, changes, reason) -> None:
    span = request_of(1).resource_spans[0].scope_spans[0].spans[0]
    answer = collector.post(score_event(span, **changes).SerializeToString(), path="/v1/logs")
    partial = ExportLogsServiceResponse.FromString(answer.body).partial_success
    assert (answer.status, partial.rejected_log_records) == (200, 1)
    assert reason in partial.error_message


def test_metrics_are_refused_by_partial_success_with_the_reason(collector: Collector) -> None:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="requests")
    metric.sum.data_points.add(as_int=1)
    metric.sum.data_points.add(as_int=2)
    answer = collector.post(request.SerializeToString(), path="/v1/metrics")
    partial = ExportMetricsServiceResponse.FromString(answer.body).partial_success
    assert (answer.status, partial.rejected_data_points) == (200, 2)
    assert "OTEL_METRICS_EXPORTER=none" in partial.error_message


def test_grpc_answers_like_http_with_its_own_codes(collector: Collector) -> None:
    address = collector.grpc_address
    with grpc.insecure_channel(address) as channel:
        export: Any = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        assert export(request_of(2).SerializeToString(), timeout=20) == b""
        assert export(request_of(2).SerializeToString(), timeout=20, compression=grpc.Compression.Gzip) == b""
        with pytest.raises(grpc.RpcError) as malformed:
            export(b"\xff\xff", timeout=20)
        assert malformed.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(grpc.RpcError) as large:
            export(bytes(5_000_000), timeout=20)
        assert large.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert collector.metrics()['request_duration_seconds_count{signal="traces",transport="grpc"}'] >= 3


def test_more_grpc_calls_at_once_than_are_read_at_once_wait_and_are_all_accepted(collector: Collector) -> None:
    # gRPC's own limit would end them with RESOURCE_EXHAUSTED, for which clients drop their spans.
    before = collector.metrics().get('spans_accepted_total{project="default"}', 0)
    with grpc.insecure_channel(collector.grpc_address) as channel:
        export: Any = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        calls = [export.future(request_of(1).SerializeToString(), timeout=30) for _ in range(1500)]
        assert {call.result() for call in calls} == {b""}
    assert collector.metrics()['spans_accepted_total{project="default"}'] == before + 1500


def test_the_same_body_from_many_senders_at_once_is_stored_once(tmp_path) -> None:
    path, request = tmp_path / "store", request_of(3)
    body = request.SerializeToString()
    with serving(path, settings=SETTINGS) as running:
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: running.post(body).status, range(32)))
        assert set(answers) == {200}
        assert running.metrics()['duplicate_requests_total{project="default"}'] == 31
        assert running.stop() == 0
    stored = rows_of(path, "SELECT span_id, count() FROM spans GROUP BY span_id")
    assert sorted(stored) == sorted([span_id, 1] for span_id in span_ids(request))


def test_grpc_needs_a_key_as_http_does_and_refuses_by_partial_success(tmp_path) -> None:
    settings = '[auth]\nkeys = { "key-of-the-blue-team" = "blue" }'
    path, request = tmp_path / "store", request_of(2)
    request.resource_spans[0].scope_spans[0].spans[0].trace_id = bytes(16)
    with serving(path, "--grpc-port", "0", settings=settings) as collector:
        with grpc.insecure_channel(collector.grpc_address) as channel:
            export: Any = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
            for metadata in ((), (("authorization", "Bearer wrong"),)):
                with pytest.raises(grpc.RpcError) as refused:
                    export(request.SerializeToString(), metadata=metadata, timeout=20)
                assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
            key = (("authorization", "Bearer key-of-the-blue-team"),)
            answer = export(request.SerializeToString(), metadata=key, timeout=20)
            assert ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans == 1
        assert collector.stop() == 0
    assert rows_of(path, "SELECT project FROM spans") == [["blue"]]


def test_a_full_log_is_503_with_retry_after_over_http_and_unavailable_over_grpc(tmp_path) -> None:
    settings = "[receive]\nlog_bytes = 1000"
    with serving(tmp_path / "store", "--grpc-port", "0", settings=settings) as collector:
        body = request_of(20).SerializeToString()
        answer = collector.post(body)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert status_of(answer).code == 14
        assert "the log is full" in status_of(answer).message
        address = collector.grpc_address
        with grpc.insecure_channel(address) as channel:
            export: Any = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
            with pytest.raises(grpc.RpcError) as busy:
                export(body, timeout=20)
        assert busy.value.code() == grpc.StatusCode.UNAVAILABLE
        trailing: Any = busy.value.trailing_metadata()
        details = dict(trailing)["grpc-status-details-bin"]
        retry = RetryInfo()
        assert Status.FromString(details).details[0].Unpack(retry)
        assert retry.retry_delay.seconds == 1


def test_keys_name_projects_and_nothing_else_opens_the_door(tmp_path) -> None:
    settings = '[auth]\nkeys = { "key-of-the-blue-team" = "blue", "key-of-the-red-team1" = "red" }'
    path = tmp_path / "store"
    with serving(path, "--host", "0.0.0.0", settings=settings) as collector:
        body = request_of(1).SerializeToString()
        for refused in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic key-of-the-blue-team"}):
            answer = collector.post(body, **refused)
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert collector.request("GET", "/metrics").status == 401
        assert collector.request("GET", "/healthz").status == 200
        assert collector.request("GET", "/readyz").status == 200
        for key in ("key-of-the-blue-team", "key-of-the-red-team1"):
            assert collector.post(request_of(1).SerializeToString(), Authorization=f"Bearer {key}").status == 200
        for page in ("/", "/index.json", "/traces", "/status.json", "/no-such-page"):
            assert collector.request("GET", page).status == 401, page
        counted = collector.request("GET", "/metrics", headers={"Authorization": "Bearer key-of-the-red-team1"})
        assert b'spans_accepted_total{project="red"} 1' in counted.body
        assert b"blue" not in counted.body
        assert collector.stop() == 0
    assert sorted(rows_of(path, "SELECT project FROM spans")) == [["blue"], ["red"]]


def test_a_page_from_elsewhere_gets_no_cors_headers_and_no_entry_under_its_own_name(collector: Collector) -> None:
    answer = collector.request("OPTIONS", "/v1/traces", headers={"Origin": "https://evil.example"})
    assert answer.status == 403
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    rebound = collector.request("GET", "/metrics", headers={"Host": "evil.example"})
    assert rebound.status == 403


def test_a_silent_connection_is_closed_and_an_oversized_header_refused(collector: Collector) -> None:
    host, port = collector.address.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as silent:
        silent.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        assert silent.recv(1000) == b""
    assert collector.request("GET", "/metrics", headers={"X-Long": "x" * 20_000}).status == 400
    assert "Traceback" not in "".join(collector.said), "any stranger fills the log"


def test_a_body_that_never_comes_is_408(collector: Collector) -> None:
    host, port = collector.address.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as slow:
        head = f"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {PROTOBUF}\r\nContent-Length: 100\r\n\r\n"
        slow.sendall(head.encode() + b"abc")
        assert slow.recv(1000).startswith(b"HTTP/1.1 408")


def test_rows_need_the_services_own_token_and_a_known_table(collector: Collector) -> None:
    row = json.dumps({"consumer": "test", "position": "1"}).encode()
    assert collector.post(row, "application/x-ndjson", "/api/v1/rows/evaluations").status == 403
    token = {"Authorization": f"Bearer {collector.owner['token']}"}
    assert collector.post(row, "application/x-ndjson", "/api/v1/rows/spans", **token).status == 404
    wrong = collector.post(b'{"nope": 1}', "application/x-ndjson", "/api/v1/rows/evaluations", **token)
    assert wrong.status == 400
    assert "no column 'nope'" in wrong.body.decode()
