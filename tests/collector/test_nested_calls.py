"""A call inside a call is one call: the same roles, tokens and dollars whatever the order and requests that spans come in."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evalspan.collector.dialects import normalise
from evalspan.collector.dialects.nested_calls import NestedCalls
from evalspan.collector.insert import late_nesting
from evalspan.collector.insert.late_nesting import correct
from evalspan.collector.insert.prices import Pricing
from evalspan.collector.insert.role_changes import RoleChanges
from evalspan.collector.log.framing import frame
from evalspan.queries.host.telemetry import Telemetry
from evalspan.queries.nesting import recent_spans
from evalspan.queries.roles import RoleChange

from .serving import soon

START = 1_790_000_000_000_000_000
GPT = {"gen_ai.request.model": "gpt-4o", "gen_ai.provider.name": "openai"}
USAGE = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100}
CHAT = {"gen_ai.operation.name": "chat", **GPT, **USAGE}
WITHOUT = {"gen_ai.operation.name": "chat", **GPT}
EXCLUSIVE = {**CHAT, "gen_ai.usage.input_tokens": 100, "gen_ai.usage.cache_read.input_tokens": 900}
EMBEDDINGS = {
    "gen_ai.operation.name": "embeddings",
    "gen_ai.request.model": "text-embedding-3-small",
    "gen_ai.usage.input_tokens": 7,
}
OURS, THEIRS, PYTHON, TYPESCRIPT = (
    "evalspan.openai",
    "some.framework",
    "com.anthropic.sdk.python",
    "com.anthropic.sdk.typescript",
)
ERROR = 2
OI = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-4o",
    "llm.provider": "openai",
    "llm.token_count.prompt": 1000,
    "llm.token_count.completion": 100,
}


def one(number: int, parent: int, scope: str, attributes: dict[str, Any], code: int = 0) -> tuple[Any, ...]:
    return number, parent, scope, attributes, code


# name -> (spans, the numbers of those that are calls)
SHAPES: dict[str, tuple[list[tuple[Any, ...]], set[int]]] = {
    "a framework around ours": ([one(1, 0, THEIRS, CHAT), one(2, 1, OURS, CHAT)], {2}),
    "OpenInference around ours": ([one(1, 0, "openinference.instrumentation.langchain", OI), one(2, 1, OURS, CHAT)], {2}),
    "anthropic's Python SDK beneath another": ([one(1, 0, THEIRS, CHAT), one(2, 1, PYTHON, CHAT)], {1}),
    "anthropic's TypeScript SDK beneath another": ([one(1, 0, THEIRS, CHAT), one(2, 1, TYPESCRIPT, CHAT)], {1}),
    "anthropic's SDK alone": ([one(1, 0, TYPESCRIPT, CHAT)], {1}),
    "two of others": ([one(1, 0, "other.a", CHAT), one(2, 1, "other.b", CHAT)], {2}),
    "ours is a stream without usage": ([one(1, 0, THEIRS, CHAT), one(2, 1, OURS, WITHOUT)], {1}),
    "neither has usage": ([one(1, 0, THEIRS, WITHOUT), one(2, 1, OURS, WITHOUT)], {2}),
    "three deep": ([one(1, 0, "a", WITHOUT), one(2, 1, "b", CHAT), one(3, 2, OURS, CHAT)], {3}),
    "three deep, the middle knows most": ([one(1, 0, "a", WITHOUT), one(2, 1, "b", CHAT), one(3, 2, PYTHON, CHAT)], {2}),
    "a plain span between": ([one(1, 0, THEIRS, CHAT), one(2, 1, "http", {}), one(3, 2, OURS, CHAT)], {3}),
    "two calls inside what calls itself one": ([one(1, 0, THEIRS, CHAT), one(2, 1, OURS, CHAT), one(3, 1, OURS, CHAT)], {2, 3}),
    "an agent with the sum": ([one(1, 0, THEIRS, {**CHAT, "gen_ai.operation.name": "invoke_agent"}), one(2, 1, OURS, CHAT), one(3, 1, OURS, CHAT)], {2, 3}),
    "a call in a tool of a call": ([one(1, 0, THEIRS, CHAT), one(2, 1, THEIRS, {"gen_ai.operation.name": "execute_tool"}), one(3, 2, OURS, CHAT)], {1, 3}),
    "embeddings in a chat": ([one(1, 0, THEIRS, CHAT), one(2, 1, OURS, EMBEDDINGS)], {1, 2}),
    "embeddings in embeddings": ([one(1, 0, THEIRS, EMBEDDINGS), one(2, 1, OURS, EMBEDDINGS)], {2}),
    "no operation, but model and tokens": ([one(1, 0, THEIRS, {**GPT, **USAGE}), one(2, 1, OURS, CHAT)], {2}),
    "a chain with the sum": ([one(1, 0, THEIRS, {"openinference.span.kind": "CHAIN", **USAGE}), one(2, 1, OURS, CHAT)], {2}),
    "a failed call in a failed one": ([one(1, 0, THEIRS, WITHOUT, ERROR), one(2, 1, OURS, WITHOUT, ERROR)], {2}),
    "a failed try inside one that succeeded": ([one(1, 0, THEIRS, CHAT), one(2, 1, OURS, WITHOUT, ERROR), one(3, 1, OURS, CHAT)], {2, 3}),
    "a failed try, then another client": ([one(1, 0, THEIRS, CHAT), one(2, 1, OURS, WITHOUT, ERROR)], {1, 2}),
    "a stream without usage and one with": ([one(1, 0, THEIRS, CHAT), one(2, 1, OURS, WITHOUT), one(3, 1, OURS, CHAT)], {2, 3}),
    "two inside ours, the one that knows less a call again": ([one(1, 0, OURS, CHAT), one(2, 1, THEIRS, EXCLUSIVE), one(3, 1, OURS, CHAT)], {2, 3}),
    "exclusive totals around ours": ([one(1, 0, THEIRS, EXCLUSIVE), one(2, 1, OURS, EXCLUSIVE)], {2}),
    "siblings": ([one(1, 9, OURS, CHAT), one(2, 9, OURS, CHAT)], {1, 2}),
    "each other's parents": ([one(1, 2, OURS, CHAT), one(2, 1, OURS, CHAT)], {1, 2}),
    "its own parent": ([one(1, 1, OURS, CHAT)], {1}),
}  # fmt: skip
FREE = {"each other's parents"}  # no answer is right: only that it ends


class Way:
    """From the receiver to the store, as the service wires it."""

    def __init__(self, store: Any, project: str) -> None:
        self.store, self.project, self.number = store, project, 0
        self.restart()

    def restart(self) -> None:
        self.nested = NestedCalls()
        for row in recent_spans(self.store, 3600, 10_000):
            if row["project"] == self.project:
                self.nested.remember(row)
        pricing = Pricing(self.store)
        self.inserting = RoleChanges(self.store, pricing.insert, Telemetry(), pricing.reprice)

    def correct(self) -> None:
        if any(one.role == "call" for one in correct(self.store, 600)):
            Pricing(self.store).reprice(60)

    def receive(self, spans: list[tuple[Any, ...]], trace: int, *, started: int = START) -> bytes:
        request = ExportTraceServiceRequest()
        for number, parent, scope, attributes, code in spans:
            group = request.resource_spans.add().scope_spans.add()
            group.scope.name = scope
            span = group.spans.add(
                trace_id=trace.to_bytes(16, "big"),
                span_id=number.to_bytes(8, "big"),
                parent_span_id=parent.to_bytes(8, "big") if parent else b"",
                start_time_unix_nano=started,
                end_time_unix_nano=started + 10**9,
            )
            span.status.code = code
            for key, value in attributes.items():
                kind = "int_value" if isinstance(value, int) else "string_value"
                setattr(span.attributes.add(key=key).value, kind, value)
        normalise(request, self.nested, self.project)
        return b"".join(frame(request.SerializeToString(), self.project, 1))

    def insert(self, segment: bytes) -> None:
        self.number += 1
        self.inserting.insert(segment, f"{self.project}-{self.number}")


def check(store: Any, project: str, traces: dict[int, str]) -> None:
    sql = "SELECT trace_id, span_id, role, operation, input_tokens, cost_usd FROM spans WHERE project = {p:String}"
    found: dict[str, list[tuple[Any, ...]]] = {}
    for trace_id, *row in store.query(sql, {"p": project}).rows:
        found.setdefault(trace_id, []).append(tuple(row))
    for trace, name in traces.items():
        spans, calls = SHAPES[name]
        rows = found[f"{trace:032x}"]
        assert len(rows) == len(spans), name
        if name in FREE:
            continue
        assert {int(span_id, 16) for span_id, role, *_ in rows if role == "call"} == calls, (name, rows)
        sent = {number: attributes for number, _, _, attributes, _ in spans}
        for span_id, role, operation, tokens, cost in rows:
            attributes = sent[int(span_id, 16)]
            if role == "call":
                assert (tokens, cost) == tokens_and_cost(attributes), name
            else:
                assert (tokens, cost) == (None, None), name
                assert operation not in ("chat", "embeddings"), name


def tokens_and_cost(attributes: dict[str, Any]) -> tuple[Any, Any]:
    """What a call has whatever it was before: its tokens with the cached ones, and their price."""
    tokens = attributes.get("gen_ai.usage.input_tokens", attributes.get("llm.token_count.prompt"))
    if tokens is None:
        return None, None
    if attributes is EXCLUSIVE:
        return 1000, pytest.approx(100 * 2.5e-6 + 900 * 1.25e-6 + 100 * 1e-5)
    return tokens, pytest.approx(0.0035 if tokens == 1000 else 7 * 2e-8)


def orders(count: int) -> list[tuple[int, ...]]:
    return list(itertools.permutations(range(count)))


def test_spans_of_one_request_in_any_order(store) -> None:
    way, segments = Way(store, "nested-one"), []
    traces: dict[int, str] = {}
    for name, (spans, _) in SHAPES.items():
        for order in orders(len(spans)):
            trace = len(traces) + 1
            traces[trace] = name
            segments.append(way.receive([spans[place] for place in order], trace))
    way.insert(b"".join(segments))
    check(store, "nested-one", traces)


@pytest.mark.slow
@pytest.mark.parametrize("inserts", ["each", "late", "restart", "twice", "refused"])
def test_spans_of_many_requests_in_any_order(store, inserts: str) -> None:
    """Inserted at once or in one segment later; with a restart between; each sent twice; each refused once."""
    project = f"nested-{inserts}"
    way, held = Way(store, project), []
    traces: dict[int, str] = {}
    steps: list[list[tuple[list[tuple[Any, ...]], int]]] = [[], [], []]
    for name, (spans, _) in SHAPES.items():
        for order in orders(len(spans)):
            trace = len(traces) + 1
            traces[trace] = name
            for number, place in enumerate(order):
                steps[number].append(([spans[place]], trace))
    for step in steps:
        random.Random(7).shuffle(step)
        segments = [way.receive(*sent) for sent in step]
        if inserts in ("twice", "refused"):
            again = [way.receive(*sent) for sent in step]
            segments = again if inserts == "refused" else segments + again
        held += segments
        if inserts != "late":
            way.insert(b"".join(held))
            held = []
        if inserts == "restart":
            way.restart()
    if held:
        way.insert(b"".join(held))
    check(store, project, traces)


@pytest.mark.slow
@pytest.mark.parametrize("inserts", ["each", "late"])
def test_spans_that_come_after_the_memory_or_at_another_collector_are_settled_in_the_store(store, inserts: str) -> None:
    """Each span at a collector that remembers none of the others; corrected after every step, or once at the end."""
    project = f"nested-apart-{inserts}"
    traces: dict[int, str] = {}
    way = Way(store, project)
    steps: list[list[tuple[list[tuple[Any, ...]], int]]] = [[], [], []]
    for name, (spans, _) in SHAPES.items():
        for order in orders(len(spans)):
            trace = len(traces) + 1
            traces[trace] = name
            for number, place in enumerate(order):
                steps[number].append(([spans[place]], trace))
    for step in steps:
        segments = []
        for sent in step:
            way.nested = NestedCalls()
            segments.append(way.receive(*sent))
        way.insert(b"".join(segments))
        if inserts == "each":
            way.correct()
    way.correct()
    assert not [one for one in correct(store, 600) if one.project == project]  # nothing is changed twice
    way.restart()
    check(store, project, traces)


def test_a_call_is_corrected_by_spans_that_were_stored_hours_apart(store) -> None:
    way = Way(store, "nested-hours")
    way.insert(way.receive([one(2, 1, OURS, CHAT)], 1))
    way.nested = NestedCalls()
    way.insert(way.receive([one(1, 0, THEIRS, CHAT)], 1, started=START - 3600 * 10**9))
    way.correct()
    check(store, "nested-hours", {1: "a framework around ours"})


CLAUDE = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
    **USAGE,
}


@pytest.mark.slow
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_sdk_that_traces_itself_in_a_trace_of_its_own_counts_nothing_beside_the_span_around_it(
    store, order: tuple[int, int]
) -> None:
    """OpenInference's tracer for LangChain makes no span current, so that anthropic's own spans are traces of their own."""
    project = f"nested-native-{order[0]}"
    way, second = Way(store, project), 10**9
    other = {**CLAUDE, "gen_ai.usage.output_tokens": 7}
    sent = [
        ([one(1, 0, THEIRS, CLAUDE)], 1, START),  # from START to START + 1 s, and its own
        ([one(2, 0, PYTHON, CLAUDE)], 2, START),
        ([one(3, 0, THEIRS, CLAUDE)], 3, START + 10 * second),
        ([one(4, 0, PYTHON, CLAUDE)], 4, START + 10 * second),
        ([one(5, 0, PYTHON, CLAUDE)], 5, START + 20 * second),  # nobody else has these
        ([one(6, 0, PYTHON, CLAUDE)], 6, START + 10 * second),
        ([one(7, 0, PYTHON, other)], 7, START),
        ([one(8, 9, PYTHON, CLAUDE)], 8, START),
        ([one(10, 0, THEIRS, {**CLAUDE, "gen_ai.usage.input_tokens": 0})], 10, START + 30 * second),  # it lost them
        ([one(11, 0, PYTHON, CLAUDE)], 11, START + 30 * second),
    ]
    for parity in order:
        for spans, trace, started in sent[parity::2]:
            way.insert(way.receive(spans, trace, started=started))
        way.correct()
    sql = "SELECT span_id, role FROM spans WHERE project = {p:String} ORDER BY span_id"
    rows = store.query(sql, {"p": project}).rows
    calls = {int(span_id, 16) for span_id, role in rows if role == "call"}
    assert {1, 3, 5, 7, 8, 11} <= calls
    assert not calls & {2, 10}
    assert len(calls & {4, 6}) == 1  # one of the two is that of 3


@pytest.mark.slow
def test_a_run_that_two_collectors_fetch_is_one_call(store) -> None:
    way = Way(store, "nested-fetched")
    fetched = {**CHAT, "gen_ai.operation.name": "fetch_response", "gen_ai.response.id": "resp_2"}
    for trace in (1, 2, 3):
        way.nested = NestedCalls()
        way.insert(way.receive([one(trace, 0, OURS, fetched)], trace, started=time.time_ns() - 10**9))
    way.correct()
    sql = "SELECT count(), sum(input_tokens) FROM spans WHERE project = 'nested-fetched' AND role = 'call'"
    assert store.query(sql).rows == [(1, 1000)]
    way.correct()
    assert store.query(sql).rows == [(1, 1000)]


@pytest.mark.slow
@pytest.mark.parametrize("restarted", [False, True])
def test_a_run_in_the_background_is_one_call_where_its_tokens_are_learnt(restarted: bool, store) -> None:
    project = f"nested-run-{restarted}"
    way = Way(store, project)
    begun: dict[str, Any] = {**WITHOUT, "gen_ai.response.id": "resp_1", "evalspan.response.status": "queued"}
    fetched = {**CHAT, "gen_ai.operation.name": "fetch_response", "gen_ai.response.id": "resp_1"}
    running = {**begun, "gen_ai.operation.name": "fetch_response"}
    # The last two fetches are those of other processes.
    for trace, attributes in enumerate([begun, running, fetched, fetched, fetched], 1):
        if restarted:
            way.restart()
        way.insert(way.receive([one(trace, 0, OURS, attributes)], trace))
    sql = "SELECT role, input_tokens FROM spans WHERE project = {project:String} ORDER BY trace_id"
    others = [("other", None), ("other", None)]
    assert store.query(sql, {"project": project}).rows == [*others, ("call", 1000), *others]


def test_the_memory_of_spans_is_bounded_and_the_newest_stay() -> None:
    nested = NestedCalls(max_spans=100)
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number in range(1000):
        ids = {"trace_id": (1 + number // 10).to_bytes(16, "big"), "span_id": (1 + number).to_bytes(8, "big")}
        spans.add(**ids, parent_span_id=b"a parent")
    normalise(request, nested, "p")
    assert 90 <= nested.count <= 100


def test_spans_that_no_call_can_lie_in_or_around_are_not_remembered() -> None:
    nested = NestedCalls()
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number, operation in enumerate(("execute_tool", "invoke_agent", "retrieval", "invoke_workflow", "")):
        span = spans.add(trace_id=b"t" * 16, span_id=(1 + number).to_bytes(8, "big"))
        span.parent_span_id = b"a parent" if operation else b""
        span.attributes.add(key="gen_ai.operation.name").value.string_value = operation
    normalise(request, nested, "p")
    assert nested.count == 0


@pytest.mark.slow
def test_a_chain_of_ten_thousand_calls_ends() -> None:
    nested = NestedCalls()
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number in range(1, 10_001):
        span = spans.add(trace_id=b"t" * 16, span_id=number.to_bytes(8, "big"))
        span.parent_span_id = (number - 1).to_bytes(8, "big") if number > 1 else b""
        span.attributes.add(key="gen_ai.operation.name").value.string_value = "chat"
    normalise(request, nested, "p")
    kept = [span for span in spans if not any(pair.key == "evalspan.role" for pair in span.attributes)]
    assert [span.span_id for span in kept] == [(10_000).to_bytes(8, "big")]


@pytest.mark.slow
async def test_calls_are_looked_for_after_a_write_and_not_while_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[float] = []
    found = [[RoleChange("p", "t", "s", "other")], []]  # the first look corrects something, so there is another

    def look(_: Any, window_s: float) -> list[RoleChange]:
        looks.append(window_s)
        return found.pop(0) if found else []

    monkeypatch.setattr(late_nesting, "correct", look)
    monkeypatch.setattr(late_nesting, "EVERY_S", 0.01)
    monkeypatch.setattr(late_nesting, "_SHARE", 1)
    host: Any = SimpleNamespace(store=SimpleNamespace(changes=(1, 1)), telemetry=Telemetry())
    following = asyncio.create_task(late_nesting._follow(host, lambda _: 0))
    await soon(lambda: len(looks) >= 2)
    await asyncio.sleep(1.5)
    assert len(looks) == 2
    host.store.changes = (2, 1)
    await soon(lambda: len(looks) >= 3)
    await asyncio.sleep(0.3)
    assert len(looks) == 3
    assert looks[-1] < 21  # not back to the last write: what came since then is new
    host.store.changes = None  # others write, too
    await soon(lambda: len(looks) > 5)
    following.cancel()
