"""ClickHouse decodes real OTLP bytes; every column is compared with a decoder written in Python."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import struct
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from evalspan.errors import QueryError
from evalspan.queries.role_of_span import ROLE_OF_OPERATION, ROLES, role_of
from evalspan.queries.store.client import Store

RECEIVED_MS = 1_790_000_000_123
BODIES = {
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.retrieval.documents",
    "evalspan.input",
    "evalspan.output",
}


def value(plain: Any) -> AnyValue:
    if isinstance(plain, bool):
        return AnyValue(bool_value=plain)
    if isinstance(plain, int):
        return AnyValue(int_value=plain)
    if isinstance(plain, float):
        return AnyValue(double_value=plain)
    if isinstance(plain, bytes):
        return AnyValue(bytes_value=plain)
    if isinstance(plain, (list, tuple)):
        return AnyValue(array_value=ArrayValue(values=[value(item) for item in plain]))
    if isinstance(plain, dict):
        return AnyValue(kvlist_value=KeyValueList(values=attributes(plain)))
    return AnyValue(string_value=plain)


def attributes(plain: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=value(item)) for key, item in plain.items()]


def request(spans: list[Span], resource: dict[str, Any] | None = None) -> ExportTraceServiceRequest:
    body = ExportTraceServiceRequest()
    group = body.resource_spans.add()
    group.resource.attributes.extend(attributes(resource or {"service.name": "shop"}))
    scope = group.scope_spans.add()
    scope.scope.name, scope.scope.version = "evalspan.openai", "0.1.0"
    scope.spans.extend(spans)
    return body


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def record(body: bytes, project: str, received_ms: int = RECEIVED_MS) -> bytes:
    name = project.encode()
    added = varint(1000 << 3 | 2) + varint(len(name)) + name + varint(1001 << 3 | 1) + received_ms.to_bytes(8, "little")
    return varint(len(body) + len(added)) + body + added


def siphash64(data: bytes) -> int:
    """SipHash-2-4 with a zero key, as ClickHouse's sipHash64."""
    mask = (1 << 64) - 1
    v = [0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573]

    def turn(x: int, n: int) -> int:
        return (x << n | x >> 64 - n) & mask

    def rounds(times: int) -> None:
        for _ in range(times):
            v[0] = v[0] + v[1] & mask
            v[1] = turn(v[1], 13) ^ v[0]
            v[0] = turn(v[0], 32)
            v[2] = v[2] + v[3] & mask
            v[3] = turn(v[3], 16) ^ v[2]
            v[0] = v[0] + v[3] & mask
            v[3] = turn(v[3], 21) ^ v[0]
            v[2] = v[2] + v[1] & mask
            v[1] = turn(v[1], 17) ^ v[2]
            v[2] = turn(v[2], 32)

    whole = len(data) // 8 * 8
    words = [*struct.unpack(f"<{whole // 8}Q", data[:whole])]
    words.append(int.from_bytes(data[whole:].ljust(7, b"\0") + bytes([len(data) & 255]), "little"))
    for word in words:
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def as_text(any_value: AnyValue) -> str:
    kind = any_value.WhichOneof("value")
    if kind == "bool_value":
        return "true" if any_value.bool_value else "false"
    if kind == "array_value":
        return "[" + ",".join(_leaf(item) for item in any_value.array_value.values) + "]"
    if kind == "kvlist_value":
        return "{" + ",".join(f'"{item.key}":{_leaf(item.value)}' for item in any_value.kvlist_value.values) + "}"
    if kind == "bytes_value":
        import base64

        return base64.b64encode(any_value.bytes_value).decode()
    if kind is None:
        return ""
    plain = getattr(any_value, kind)
    return f"{plain:g}" if kind == "double_value" else str(plain)


def _leaf(any_value: AnyValue) -> str:
    if any_value.HasField("string_value"):
        return json.dumps(any_value.string_value, ensure_ascii=False)
    return as_text(any_value)


def system_text(found: dict[str, str]) -> str:
    if instructions := found.get("gen_ai.system_instructions"):
        try:
            return "\n".join(part["content"] for part in json.loads(instructions))
        except ValueError:
            return instructions
    lines = []
    sent = found.get("gen_ai.input.messages", "")
    for message in json.loads(sent) if sent.startswith("[") else []:
        if message["role"] not in ("system", "developer"):
            break
        lines.append("\n".join(part["content"] for part in message["parts"]))
    return "\n".join(lines)


def weight(span: Span, numbers: dict[str, float]) -> float:
    if written := numbers.get("evalspan.sample_weight"):
        return written
    for member in span.trace_state.split(","):
        if member.startswith("ot="):
            for item in member[3:].split(";"):
                if item.startswith("th:"):
                    return 2**56 / (2**56 - int(item[3:].ljust(14, "0"), 16))
    return 1.0


def expected_row(span: Span, resource: dict[str, Any], project: str) -> dict[str, Any]:
    found = {item.key: as_text(item.value) for item in span.attributes}
    numbers = {}
    for key, sent in found.items():
        with contextlib.suppress(ValueError):
            if math.isfinite(number := float(sent)):
                numbers[key] = number

    def first(*names: str) -> str:
        return next((found[name] for name in names if found.get(name)), "")

    def tokens(name: str) -> int | None:
        sent = numbers.get(name, -1)
        return None if sent < 0 else int(min(sent, 2**32 - 1))

    asked, answered = tokens("gen_ai.usage.input_tokens"), tokens("gen_ai.usage.output_tokens")
    has_usage = asked is not None or answered is not None
    cached = tokens("gen_ai.usage.cache_read.input_tokens") or 0
    written = tokens("gen_ai.usage.cache_write.input_tokens") or tokens("gen_ai.usage.cache_creation.input_tokens") or 0
    if asked is not None and cached + written > asked:
        asked += cached + written
    model = first("gen_ai.response.model", "gen_ai.request.model")
    stated = first("evalspan.role")
    role = role_of(
        first("gen_ai.operation.name"),
        model=model,
        has_usage=has_usage,
        failed=span.status.code == 2,
        status=first("evalspan.response.status"),
        stated=stated,
    )
    call = role == "call"
    cost = numbers.get("evalspan.cost_usd", numbers.get("evalspan.reported_cost_usd", numbers.get("gen_ai.usage.cost")))
    if not call or cost is not None:
        reason = ""
    elif not has_usage:
        reason = "the call failed" if span.status.code == 2 else "no token counts were sent"
    else:
        reason = "the model has no known price" if model else "no model was sent"

    body_in = first(
        "gen_ai.input.messages", "gen_ai.tool.call.arguments", "gen_ai.retrieval.query.text", "evalspan.input"
    )
    body_out = first(
        "gen_ai.output.messages", "gen_ai.tool.call.result", "gen_ai.retrieval.documents", "evalspan.output"
    )
    system = system_text(found)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return {
        "project": project or "default",
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex() if any(span.parent_span_id) else "",
        "trace_state": span.trace_state,
        "start_time": epoch + timedelta(microseconds=span.start_time_unix_nano // 1000),
        "duration_ns": max(span.end_time_unix_nano - span.start_time_unix_nano, 0),
        "name": span.name,
        "kind": Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        "status": ("UNSET", "OK", "ERROR")[span.status.code],
        "status_message": span.status.message,
        "error_type": first("error.type"),
        "service": resource["service.name"],
        "environment": resource.get("deployment.environment.name", "") or first("deployment.environment.name"),
        "scope_name": "evalspan.openai",
        "scope_version": "0.1.0",
        "operation": ""
        if stated == "other" and ROLE_OF_OPERATION.get(first("gen_ai.operation.name")) == "call"
        else first("gen_ai.operation.name"),
        "role": role,
        "provider": first("gen_ai.provider.name", "gen_ai.system"),
        "request_model": first("gen_ai.request.model"),
        "response_model": first("gen_ai.response.model"),
        "agent_name": first("gen_ai.agent.name"),
        "tool_name": first("gen_ai.tool.name"),
        "prompt_name": first("gen_ai.prompt.name"),
        "prompt_version": first("gen_ai.prompt.version"),
        "system_hash": f"{siphash64(system.encode()):016x}" if system else "",
        "conversation_id": first("gen_ai.conversation.id", "session.id"),
        "user_id": first("user.id", "enduser.id"),
        "input_tokens": asked if call else None,
        "output_tokens": answered if call else None,
        "cached_tokens": cached if call and has_usage else None,
        "reasoning_tokens": (tokens("gen_ai.usage.reasoning.output_tokens") or 0) if call and has_usage else None,
        "cost_usd": cost if call else None,
        "reported_cost_usd": numbers.get("evalspan.reported_cost_usd", numbers.get("gen_ai.usage.cost"))
        if call
        else None,
        "computed_cost_usd": None,
        "unpriced_reason": reason,
        "ttft_s": numbers.get("gen_ai.response.time_to_first_chunk"),
        "input": body_in,
        "output": body_out,
        "input_preview": body_in[:200],
        "output_preview": body_out[:200],
        "attributes": {k: v for k, v in found.items() if k not in BODIES or v not in (body_in, body_out)},
        "resource": {key: as_text(value(item)) for key, item in resource.items()},
        "events": [
            {
                "time": epoch + timedelta(microseconds=event.time_unix_nano // 1000),
                "name": event.name,
                "attributes": {item.key: as_text(item.value) for item in event.attributes},
            }
            for event in span.events
        ],
        "links": [{"trace_id": link.trace_id.hex(), "span_id": link.span_id.hex()} for link in span.links],
        "sample_weight": weight(span, numbers),
        "sample_rule": first("evalspan.sample_rule"),
        "ingested_at": epoch + timedelta(milliseconds=RECEIVED_MS),
    }


def text(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": content}]}


def span(number: int, found: dict[str, Any], **fields: Any) -> Span:
    start = 1_790_000_000_000_000_000 + number * 1_000_000_001
    made = Span(
        trace_id=(0xABCDEF << 100 | number + 1).to_bytes(16, "big"),
        span_id=(0xFE << 56 | number + 1).to_bytes(8, "big"),
        name=f"chat {number}",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=start,
        end_time_unix_nano=start + 1_234_567_890,
        attributes=attributes(found),
    )
    for name, wanted in fields.items():
        if name == "status":
            made.status.code, made.status.message = wanted
        else:
            setattr(made, name, wanted)
    return made


CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5-mini",
    "gen_ai.response.model": "gpt-5-mini-2026-01-01",
    "gen_ai.usage.input_tokens": 1200,
    "gen_ai.usage.output_tokens": 34,
    "gen_ai.usage.cache_read.input_tokens": 1024,
    "gen_ai.usage.reasoning.output_tokens": 20,
    "gen_ai.response.finish_reasons": ["stop", 'a "quoted" one'],
    "gen_ai.response.time_to_first_chunk": 0.25,
    "gen_ai.prompt.name": "support",
    "gen_ai.prompt.version": "7",
    "gen_ai.conversation.id": "c-1",
    "user.id": "u-1",
    "evalspan.cost_usd": 0.0021,
    "evalspan.tag.plan": "enterprise",
    "gen_ai.system_instructions": json.dumps(
        [{"type": "text", "content": "You are Ada.\nBe “kind”."}, {"type": "text", "content": "Be short."}],
        ensure_ascii=False,
    ),
    "gen_ai.input.messages": json.dumps(
        [text("user", 'Wie viel kostet Pro? 日本語 🙂 \\ " \n' + "x" * 300)], ensure_ascii=False
    ),
    "gen_ai.output.messages": json.dumps([{**text("assistant", "$49"), "finish_reason": "stop"}]),
}


def many_spans() -> list[Span]:
    spans = [
        span(0, CHAT, trace_state="vendor=x,ot=th:c;rv:1234567890abcd", status=(1, "")),
        span(
            1,
            {
                "gen_ai.input.messages": json.dumps(
                    [text("system", "Rule A"), text("developer", "Rule B"), text("user", "?"), text("system", "late")]
                )
            },
        ),
        span(2, {"gen_ai.system_instructions": "plain words", "gen_ai.system": "anthropic", "session.id": "s-2"}),
        span(
            3,
            {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "search",
                "gen_ai.tool.call.arguments": '{"q":1}',
                "gen_ai.tool.call.result": '{"hits":[]}',
                "evalspan.input": "kept as attribute",
            },
        ),
        span(
            4,
            {
                "gen_ai.operation.name": "retrieval",
                "gen_ai.retrieval.query.text": "refund",
                "gen_ai.retrieval.documents": '[{"id":"d1","content":"30 days"}]',
            },
        ),
        span(
            5,
            {
                "evalspan.input": '{"a":1}',
                "evalspan.output": '"b"',
                "evalspan.sample_weight": 20.0,
                "evalspan.sample_rule": "rest",
                "deployment.environment.name": "staging",
            },
            trace_state="ot=th:8",
        ),
        span(
            6,
            {
                "gen_ai.usage.input_tokens": -5,
                "gen_ai.usage.output_tokens": 2**40,
                "flag": True,
                "ratio": 0.5,
                "raw": b"\x00\xff",
                "table": {"k": "v", "n": 3},
                "empty": "",
            },
            status=(2, "boom"),
            parent_span_id=bytes(8),
        ),
        span(
            7,
            {"error.type": "TimeoutError", "evalspan.cost_usd": 0},
            parent_span_id=b"\x01" * 8,
            kind=Span.SPAN_KIND_INTERNAL,
        ),
        span(8, {}, end_time_unix_nano=5, kind=Span.SPAN_KIND_UNSPECIFIED),
        span(9, {"gen_ai.input.messages": "not JSON at all", "gen_ai.usage.input_tokens": 7.0}),
        span(10, {**CHAT, "gen_ai.usage.input_tokens": "1200", "gen_ai.usage.output_tokens": "34"}),
        span(
            11,
            {
                "gen_ai.request.model": "m",
                "gen_ai.usage.input_tokens": 20,
                "gen_ai.usage.cache_creation.input_tokens": 19_810,
            },
        ),
        span(12, {**CHAT, "evalspan.role": "other"}),
        span(
            13,
            {"gen_ai.operation.name": "chat", "evalspan.reported_cost_usd": "0.5", "gen_ai.usage.input_tokens": "many"},
        ),
        span(
            14,
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.usage.output_tokens": float("nan"),
                "gen_ai.usage.input_tokens": float("inf"),
            },
        ),
        span(15, {"gen_ai.operation.name": "chat", "gen_ai.usage.cost": 0.25}, status=(2, "")),
    ]
    operations = (*ROLE_OF_OPERATION, "fetch_response", "plan", "custom", "")
    more = itertools.product(
        operations, ("", "queued"), (0, 2), ({}, {"gen_ai.usage.input_tokens": 5, "gen_ai.request.model": "m"})
    )
    for number, (operation, state, code, usage) in enumerate(more, 20):
        found = {"gen_ai.operation.name": operation, "evalspan.response.status": state, **usage}
        spans.append(span(number, found, status=(code, "")))
    spans += [
        span(200 + n, {"gen_ai.operation.name": "chat", "evalspan.role": one})
        for n, one in enumerate((*ROLES, "nonsense"))
    ]
    event = spans[7].events.add(time_unix_nano=1_790_000_000_000_001_000, name="exception")
    event.attributes.extend(attributes({"exception.type": "TimeoutError", "n": 3}))
    spans[7].links.add(trace_id=b"\x0a" * 16, span_id=b"\x0b" * 8)
    return spans  # fmt: skip


def test_every_column_of_spans_equals_the_python_decoder(store: Store) -> None:
    project = f"columns-{uuid.uuid4()}"
    resource = {"service.name": "shop", "deployment.environment.name": "", "host.cpus": 4}
    spans = many_spans()
    store.insert_otlp(record(request(spans, resource).SerializeToString(), project), token=project)
    columns = [row[0] for row in store.query("DESCRIBE TABLE spans").rows]
    stored = store.query(
        f"SELECT {', '.join(columns)} FROM spans WHERE project = {{p:String}} ORDER BY trace_id", {"p": project}
    ).dicts()
    assert len(stored) == len(spans)
    for sent, row in zip(spans, stored, strict=True):
        wanted = expected_row(sent, resource, project)
        assert row.pop("inserted_at") > row["ingested_at"]  # the table's own clock, not in what was sent
        assert set(row) == set(wanted)
        for column, cell in wanted.items():
            assert row[column] == (pytest.approx(cell) if isinstance(cell, float) else cell), (sent.name, column)


def test_a_segment_of_several_records_keeps_each_ones_project_and_order(store: Store) -> None:
    a, b = f"a-{uuid.uuid4()}", f"b-{uuid.uuid4()}"
    segment = record(request([span(1, CHAT)]).SerializeToString(), a) + record(
        request([span(1, CHAT), span(2, CHAT)]).SerializeToString(), b
    )
    store.insert_otlp(segment, token=a)
    counted = store.query(
        "SELECT project, count() FROM spans WHERE project IN ({a:String}, {b:String}) GROUP BY 1 ORDER BY 1",
        {"a": a, "b": b},
    )
    assert counted.rows == [(a, 1), (b, 2)]


def test_the_same_token_inserts_once_and_the_same_span_counts_once(store: Store) -> None:
    project = f"twice-{uuid.uuid4()}"
    body = request([span(n, CHAT) for n in range(50)]).SerializeToString()
    count = "SELECT count() FROM spans WHERE project = {p:String}"
    store.insert_otlp(record(body, project), token=f"{project}-1")
    store.insert_otlp(record(body, project), token=f"{project}-1")
    assert store.query(count + " SETTINGS final = 0", {"p": project}).rows == [(50,)]
    store.insert_otlp(record(body, project, RECEIVED_MS + 9), token=f"{project}-2")
    assert store.query(count, {"p": project}).rows == [(50,)]


@pytest.mark.slow
def test_clocks_wrong_by_years_do_not_block_the_segment_they_are_in(store: Store) -> None:
    project = f"clocks-{uuid.uuid4()}"
    day = 86_400_000_000_000
    spans = [span(n, CHAT, start_time_unix_nano=n * 30 * day, end_time_unix_nano=n * 30 * day + 5) for n in range(300)]
    spans.append(span(301, CHAT, start_time_unix_nano=2**64 - 1, end_time_unix_nano=2**64 - 1))
    store.insert_otlp(record(request(spans).SerializeToString(), project), token=project)
    found = store.query("SELECT count(), uniqExact(span_id) FROM spans WHERE project = {p:String}", {"p": project})
    assert found.rows == [(301, 301)]


def test_bytes_that_are_no_protobuf_are_refused_and_store_nothing(store: Store) -> None:
    project = f"garbage-{uuid.uuid4()}"
    good = record(request([span(1, CHAT)]).SerializeToString(), project)
    with pytest.raises(QueryError):
        store.insert_otlp(good + b"\x05\xff\xff\xff\xff\xff", token=project)
    assert store.query("SELECT count() FROM spans WHERE project = {p:String}", {"p": project}).rows == [(0,)]
