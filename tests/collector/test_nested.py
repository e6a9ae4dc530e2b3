"""Values of attributes that nest: what a client sends inside lists and tables is what a query finds, from log to store."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import msgspec
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from evalspan.collector.insert.inserter import KeepAll
from evalspan.collector.insert.nested import StrictSpans
from evalspan.collector.insert.pipeline import Pipeline
from evalspan.collector.log.durable import DurableLog, LogLimits
from evalspan.queries.host.telemetry import Telemetry
from evalspan.queries.store.client import Store

from .traffic import request_of

LIMITS = LogLimits(log_bytes=1 << 26, segment_bytes=1 << 22, flush_s=0.05, sync_s=0.001, keep_s=0)

NESTED = {
    "list of tables": [{"name": "search", "score": 0.25}, {"name": "fetch", "ok": True}],
    "table of tables": {"a": {"b": {"c": [1, 2, {"d": "deep"}]}}},
    "list of lists": [[1, 2], [], [["x"]]],
    "tools": {"calls": [{"function": {"arguments": {"city": "Bern", "days": [1, 2]}}}]},
}


def value(plain: Any) -> AnyValue:
    if isinstance(plain, dict):
        pairs = [KeyValue(key=key, value=value(item)) for key, item in plain.items()]
        return AnyValue(kvlist_value=KeyValueList(values=pairs))
    if isinstance(plain, list):
        return AnyValue(array_value=ArrayValue(values=[value(item) for item in plain]))
    kinds = {bool: "bool_value", int: "int_value", float: "double_value", bytes: "bytes_value", str: "string_value"}
    return AnyValue() if plain is None else AnyValue(**{kinds[type(plain)]: plain})


def stored(store: Store, tmp_path: Any, project: str, bodies: list[bytes]) -> tuple[list[dict[str, str]], Telemetry]:
    """The attributes of every span of these requests, in the order of their times, after a way through the pipeline."""
    telemetry = Telemetry()

    def insert(content: bytes, token: str) -> None:
        store.insert_otlp(content, token=token)

    async def run() -> None:
        pipeline = Pipeline("spans", tmp_path, LIMITS, insert, KeepAll(), telemetry, strict=StrictSpans())
        pipeline.start()
        for body in bodies:
            await pipeline.log.append(body, project)
        assert await pipeline.stop(60)

    asyncio.run(run())
    sql = "SELECT attributes FROM spans WHERE project = {p:String} ORDER BY start_time"
    return [row[0] for row in store.query(sql, {"p": project}).rows], telemetry


def body_with(attributes: dict[str, Any], number: int = 0, place: str = "span") -> bytes:
    request = request_of(1, start_ns=time.time_ns() + number)
    group = request.resource_spans[0]
    span = group.scope_spans[0].spans[0]
    if place == "event":
        span.events.add(name="happened")
    target = {"span": span, "resource": group.resource, "event": span.events[0] if span.events else None}[place]
    assert target is not None
    for key, plain in attributes.items():
        target.attributes.add(key=key).value.CopyFrom(value(plain))
    return request.SerializeToString()


def wait_until_empty(log: DurableLog) -> None:
    while log.backlog_bytes:
        time.sleep(0.02)


def test_values_nested_to_any_depth_are_stored_as_json_and_their_neighbours_are_stored_too(store: Store, tmp_path):
    plain = {"finish": ["stop"], "city": "Bern"}
    bodies = [body_with(plain, 0), body_with({**NESTED, **plain}, 1), body_with(plain, 2)]
    rows, telemetry = stored(store, tmp_path, "nested", bodies)
    assert len(rows) == 3
    for row in rows:
        assert (json.loads(row["finish"]), row["city"]) == (["stop"], "Bern")
    for key, sent in NESTED.items():
        assert json.loads(rows[1][key]) == sent
    assert "insert_quarantined_total" not in telemetry.prometheus()


def test_nested_values_of_resources_and_events_are_stored_too(store: Store, tmp_path):
    bodies = [body_with(NESTED, 0, "resource"), body_with(NESTED, 1, "event")]
    stored(store, tmp_path, "nested-places", bodies)
    found = store.query(
        "SELECT resource, arrayMap(e -> e.attributes, events) FROM spans WHERE project = 'nested-places' ORDER BY start_time"
    ).rows
    for key, sent in NESTED.items():
        assert json.loads(found[0][0][key]) == sent
        assert json.loads(found[1][1][0][key]) == sent


def test_after_the_first_refusal_nested_values_are_found_before_the_insert(store: Store, tmp_path):
    tokens: list[str] = []

    def insert(content: bytes, token: str) -> None:
        tokens.append(token)
        store.insert_otlp(content, token=token)

    async def run() -> None:
        pipeline = Pipeline("spans", tmp_path, LIMITS, insert, KeepAll(), Telemetry(), strict=StrictSpans())
        pipeline.start()
        for number in range(3):
            await pipeline.log.append(body_with(NESTED, number), "nested-again")
            await asyncio.to_thread(wait_until_empty, pipeline.log)
        assert await pipeline.stop(60)

    asyncio.run(run())
    assert [token.endswith("-anew") for token in tokens] == [False, True, True, True]
    assert store.query("SELECT count() FROM spans WHERE project = 'nested-again'").rows == [(3,)]


def test_numbers_bytes_and_emptiness_have_a_defined_text(store: Store, tmp_path):
    sent = {
        "large": 2**53 + 1,
        "largest": 2**63 - 1,
        "smallest": -(2**63),
        "nan": float("nan"),
        "infinite": float("inf"),
        "bytes": b"\x00\xff",
        "empty": "",
        "unset": None,
        "empty list": [],
        "empty table": {},
        "list": [2**53 + 1, b"\x00\xff", None, float("nan"), "", True],
        "deep": [[2**53 + 1, b"\x00\xff", None, float("nan"), "", True]],
    }
    rows, _ = stored(store, tmp_path, "defined", [body_with(sent)])
    assert {key: rows[0][key] for key in sent} == {
        "large": "9007199254740993",
        "largest": "9223372036854775807",
        "smallest": "-9223372036854775808",
        "nan": "nan",
        "infinite": "inf",
        "bytes": "AP8=",
        "empty": "",
        "unset": "",
        "empty list": "[]",
        "empty table": "{}",
        "list": '[9007199254740993,"AP8=",null,null,"",true]',
        "deep": '[[9007199254740993,"AP8=",null,null,"",true]]',
    }
    assert msgspec.json.decode(rows[0]["list"])[0] == 2**53 + 1
