"""Rows that are made in columns are those that the decoder's views make, whatever a record holds."""

from __future__ import annotations

import json
import random
import runpy
import uuid
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evalspan.errors import QueryError
from evalspan.queries.otlp_rows.decoder import Decoded, Decoder
from evalspan.queries.otlp_rows.names import NUMBERS, WANTED
from evalspan.queries.otlp_rows.prices import Prices
from evalspan.queries.otlp_rows.values import Unusual, double_text
from evalspan.queries.prices import ModelKey, ResolvedPrice, remember_prices
from evalspan.queries.prompt_slots import piece_hashes, save_slots
from evalspan.queries.store.client import Store

otlp: dict[str, Any] = runpy.run_path(str(Path(__file__).parent / "test_otlp_columns.py"))
ODD = 'a/b "c" \\ \n\t\b\f\r \x01 \x7f é €   😀'
DOUBLES = [
    0.0,
    -0.0,
    1.0,
    0.1,
    1.5e-5,
    1e-6,
    1e-7,
    1.25e-7,
    1e15,
    1e16,
    123456789012345678.0,
    1e20,
    1e21,
    1.5e300,
    5e-324,
]
VALUES: list[Any] = [
    *("", "x", "5", "-5", "+5", " 5", "5.", ".5", "1e3", "1_000", "nan", "inf", "1e400", "007", "true", ODD, "y" * 200),
    *(
        0,
        7,
        -3,
        2**40,
        2**63 - 1,
        True,
        False,
        b"",
        b"\x00\xff",
        [],
        [1, "a/b", 0.5, True, b"\x00", ODD],
        {},
        {"k/": ODD, "n": 3},
    ),
    *(*DOUBLES, float("nan"), float("inf"), -2.5, None, "z" * 20_000),
]
MESSAGES = [
    *(
        [],
        [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}],
        [{"role": "system", "content": ODD}],
        "no list",
    ),
    *(
        {"role": "system", "content": "x"},
        [{"role": "system", "content": 5}],
        ["x"],
        [{"content": "late", "role": "system"}],
    ),
    [
        {"role": "system", "parts": [{"content": "A"}, {"content": ""}, {"content": "B"}]},
        {"role": "developer", "content": "C"},
    ],
    [{"role": "assistant", "content": "x"}, {"role": "system", "content": "y"}],
    [{"role": "system", "parts": [{"content": "X. Y. passage one. Z."}]}],
]


@pytest.fixture
def priced(store: Store) -> Store:
    """Prices of every form: none, one row, rows with conditions, one's own."""
    always, dear = [-1.0, 0.0, 1440.0, 0.0], [1e-6 * n for n in range(1, 15)]
    remember_prices(
        store,
        [
            ResolvedPrice(ModelKey("rows", "flat", ""), "list", [[*always, *dear]]),
            ResolvedPrice(ModelKey("rows", "own", ""), "settings", [[*always, *dear]]),
            ResolvedPrice(
                ModelKey("rows", "tiered", "", "flex"),
                "list",
                [[*always, *dear], [10.0, 0.0, 700.0, 5.0, *(2 * one for one in dear)]],
            ),
            ResolvedPrice(
                ModelKey("rows", "gaps", ""), "list", [[*always, 1e-6, -1.0, -1.0, 2e-6, 0.0, 1e-3, *[-1.0] * 8]]
            ),
            ResolvedPrice(ModelKey("rows", "none", ""), "none", [], "nobody sells it"),
        ],
    )
    store.insert("model_prices", [{"provider": "rows", "model": "mine", "input_usd": 0.001, "output_usd": 0.002}])
    return store


def _span(rng: random.Random, number: int) -> Any:
    names = [*sorted(name.decode() for name in WANTED), "custom", "custom", "k" * 200]
    found = {name: rng.choice(VALUES) for name in rng.sample(names, rng.randint(0, 14))}
    found = {name: value for name, value in found.items() if value is not None}
    if rng.random() < 0.7:
        found["gen_ai.operation.name"] = rng.choice(["chat", "embeddings", "execute_tool", "invoke_agent", ""])
        found["gen_ai.provider.name"] = "rows"
        found["gen_ai.request.model"] = rng.choice(["flat", "own", "tiered", "gaps", "none", "mine", "unheard"])
        found.pop("gen_ai.response.model", None)
        found["openai.response.service_tier"] = rng.choice(["", "default", "Flex", "odd"])
    for name in rng.sample(sorted(NUMBERS), rng.choice([0, 2, 5])):
        found[name] = rng.choice([0, 3, 40, 700, 12.0, "25"])
    for name in ("gen_ai.input.messages", "gen_ai.system_instructions"):
        if rng.random() < 0.4:
            found[name] = json.dumps(rng.choice(MESSAGES), ensure_ascii=rng.random() < 0.5)
    span = otlp["span"](
        number,
        found,
        status=(rng.choice([0, 1, 2, 7]), rng.choice(["", ODD])),
        kind=rng.choice([0, 1, 5, 9]),
        trace_state=rng.choice(["", "ot=th:8", "a=b,ot=p:1;th:c0ffee", "ot=th:ffffffffffffff", "ot=x"]),
        parent_span_id=rng.choice([b"", bytes(8), b"\x01" * 8]),
    )
    span.name = rng.choice(["", "n", ODD, "long" * 60])
    for _ in range(rng.choice([0, 0, 2])):
        event = span.events.add(time_unix_nano=rng.choice([0, 1_790_000_000_000_001_000]), name=rng.choice(["", ODD]))
        event.attributes.extend(otlp["attributes"]({"a": rng.choice(VALUES[:-8]), "b": ODD}))
        span.links.add(trace_id=b"\x0a" * 16, span_id=b"\x0b" * 8)
    return span


def _rows(store: Store, project: str) -> list[dict[str, Any]]:
    columns = "* EXCEPT (project, inserted_at)"
    return store.query(
        f"SELECT {columns} FROM spans WHERE project = {{p:String}} ORDER BY trace_id", {"p": project}
    ).dicts()


def _body(span: Any, number: int) -> bytes:
    resources: list[dict[str, Any]] = [
        {"service.name": "shop", "host.cpus": 4},
        {"deployment.environment.name": "", "deployment.environment": "old", "service.name": 5},
        {"nothing": ""},
    ]
    return bytes(otlp["request"]([span], resources[number % 3]).SerializeToString())


def _both(store: Store, bodies: list[bytes], monkeypatch: pytest.MonkeyPatch) -> tuple[list[Any], list[Any], int]:
    """The rows of the columns, those of the views, and how many bytes the columns left to the views."""
    left = 0
    decode = Decoder.decode

    def watched(self: Decoder, segment: bytes, prices: Prices) -> Decoded:
        nonlocal left
        decoded = decode(self, segment, prices)
        left += len(decoded.rest)
        return decoded

    def refused(self: Decoder, segment: bytes, prices: Prices) -> Decoded:
        raise Unusual

    found = []
    for way in (watched, refused):
        project = f"rows-{uuid.uuid4()}"
        monkeypatch.setattr(Decoder, "decode", way)
        store.insert_otlp(b"".join(otlp["record"](body, project) for body in bodies), token=project)
        found.append(_rows(store, project))
    monkeypatch.undo()
    return found[0], found[1], left


def _assert_same(one: list[Any], other: list[Any]) -> None:
    assert len(one) == len(other) > 0
    for left, right in zip(one, other, strict=True):
        for column in left:
            assert repr(left[column]) == repr(right[column]), (column, left["attributes"])


def test_spans_of_every_kind_become_the_same_rows_in_columns_as_by_the_views(
    priced: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_columns, by_views, left = _both(priced, [otlp["request"](otlp["many_spans"]()).SerializeToString()], monkeypatch)
    assert not left
    _assert_same(in_columns, by_views)


@pytest.mark.slow
def test_random_attributes_events_links_and_prices_become_the_same_rows_in_columns_as_by_the_views(
    priced: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(23)
    spans = [_span(rng, n) for n in range(1500)]
    bodies = [_body(span, n) for n, span in enumerate(spans)]
    in_columns, by_views, left = _both(priced, bodies, monkeypatch)
    assert left < 0.3 * sum(map(len, bodies))
    _assert_same(in_columns, by_views)


def test_what_is_filled_into_a_prompt_makes_no_new_fingerprint_in_columns_either(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = [otlp["span"](n, {"gen_ai.system_instructions": f"Rules hold. Passage {n}. Answer now."}) for n in range(3)]
    body = otlp["request"](spans, {"service.name": "filled"}).SerializeToString()
    for way in (False, True):
        project = f"slots-{uuid.uuid4()}"
        hashes = piece_hashes(store, ["Rules hold.", " Answer now."])
        save_slots(
            store, project, "filled", [(hashes["Rules hold."], hashes[" Answer now."])], ["Rules hold.\0 Answer now."]
        )
        if way:
            monkeypatch.setattr(Decoder, "decode", _refuse)
        store.insert_otlp(otlp["record"](body, project), token=project)
        seen = {row["system_hash"] for row in _rows(store, project)}
        template = store.query("SELECT any(template_hash) FROM prompt_slots WHERE project = {p:String}", {"p": project})
        assert seen == {template.rows[0][0]}


def _refuse(self: Decoder, segment: bytes, prices: Prices) -> Decoded:
    raise Unusual


def test_a_record_that_the_views_refuse_stores_nothing_of_its_segment(store: Store) -> None:
    project = f"refused-{uuid.uuid4()}"
    good = otlp["request"]([otlp["span"](1, {"a": 1})]).SerializeToString()
    nested = otlp["request"]([otlp["span"](2, {"deep": [[1]]})]).SerializeToString()
    with pytest.raises(QueryError):
        store.insert_otlp(b"".join(otlp["record"](body, project) for body in (good, nested)), token=project)
    assert _rows(store, project) == []


def test_a_record_with_ids_of_another_length_is_left_whole_to_the_views_beside_the_others(store: Store) -> None:
    project = f"mixed-{uuid.uuid4()}"
    odd = otlp["span"](2, {"a": 2})
    odd.trace_id = b"\x05" * 5
    bodies = [
        otlp["request"]([otlp["span"](1, {"a": 1})]).SerializeToString(),
        otlp["request"]([otlp["span"](3, {"a": 3}), odd]).SerializeToString(),
    ]
    segment = b"".join(otlp["record"](body, project) for body in bodies)
    for _ in range(2):
        store.insert_otlp(segment, token=project)
    counted = store.query("SELECT count() FROM spans WHERE project = {p:String} SETTINGS final = 0", {"p": project})
    assert counted.rows == [(3,)]
    assert sorted(row["attributes"]["a"] for row in _rows(store, project)) == ["1", "2", "3"]


def test_a_large_segment_is_left_to_the_views_whole_and_is_stored_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = f"large-{uuid.uuid4()}"
    segment = otlp["record"](otlp["request"]([otlp["span"](n, {"a": n}) for n in (1, 2)]).SerializeToString(), project)
    monkeypatch.setattr("evalspan.queries.store.otlp_insert.VIEWS_FROM_BYTES", len(segment))
    monkeypatch.setattr(Decoder, "decode", _refuse)
    for _ in range(2):
        store.insert_otlp(segment, token=project)
    counted = store.query("SELECT count() FROM spans WHERE project = {p:String} SETTINGS final = 0", {"p": project})
    assert counted.rows == [(2,)]


@pytest.mark.parametrize("seed", range(3))
def test_numbers_are_written_as_the_store_writes_them(store: Store, seed: int) -> None:
    rng = random.Random(seed)
    found = [*DOUBLES, *(rng.uniform(-1, 1) * 10.0 ** rng.randint(-310, 308) for _ in range(500))]
    written = store.query("SELECT arrayMap(n -> toString(n), {n:Array(Float64)})", {"n": found}).rows[0][0]
    assert [double_text(number) for number in found] == written


def test_the_same_request_encoded_in_another_way_is_the_same_row(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    span = otlp["span"](1, {"gen_ai.request.model": "m", "custom": "v" * 300})
    request: ExportTraceServiceRequest = otlp["request"]([span])
    plain = request.SerializeToString()
    # The key behind the value, as some encoders write it.
    value = b"\x12" + bytes([len(b"v2") + 2]) + b"\x0a\x02v2"
    swapped = value + b"\x0a\x03key"
    attribute = b"\x4a" + bytes([len(swapped)]) + swapped
    encoded = span.SerializeToString() + attribute
    group = request.resource_spans[0]
    del group.scope_spans[0].spans[:]
    scope = group.scope_spans[0].SerializeToString() + b"\x12" + otlp["varint"](len(encoded)) + encoded
    del group.scope_spans[:]
    resource = group.SerializeToString() + b"\x12" + otlp["varint"](len(scope)) + scope
    body = b"\x0a" + otlp["varint"](len(resource)) + resource
    in_columns, by_views, left = _both(store, [plain, body], monkeypatch)
    assert not left
    _assert_same(in_columns, by_views)
    assert in_columns[0]["attributes"]["custom"] == "v" * 300
