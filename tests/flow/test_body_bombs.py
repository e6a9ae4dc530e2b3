"""Small bodies that would become large ones, sent to a running service: what they get, what they cost, who waits for them."""

from __future__ import annotations

import gzip
import threading
import time
from pathlib import Path

import pytest
import zstandard

from evalspan.collector.receivers.element_count import (
    MAX_ELEMENTS,
    MAX_JSON_ELEMENTS,
    TooManyElements,
    count_json,
    count_protobuf,
)
from evalspan.queries.protobuf_types import varint

from ..collector.serving import JSON, PROTOBUF, serving
from ..collector.traffic import request_of

SIZE = 19 << 20


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def spans(content: bytes) -> bytes:
    return field(1, field(2, content))


def attribute(kind: int, content: bytes) -> bytes:
    return spans(field(2, field(9, field(1, b"k") + field(2, field(kind, content)))))


def bombs(size: int) -> dict[str, bytes]:
    half = size // 2
    return {
        "resource spans": b"\x0a\x00" * half,
        "scope spans": field(1, b"\x12\x00" * half),
        "spans": spans(b"\x12\x00" * half),
        "attributes": spans(field(2, b"\x4a\x00" * half)),
        "events": spans(field(2, b"\x5a\x00" * half)),
        "attributes of an event": spans(field(2, field(11, b"\x1a\x00" * half))),
        "attributes of the resource": field(1, field(1, b"\x0a\x00" * half)),
        "values in a list": attribute(5, b"\x0a\x00" * half),
        "pairs in a table": attribute(6, b"\x0a\x00" * half),
        "long tags": spans(b"\x92\x00\x00" * (size // 3)),
        "unknown fields": spans(field(2, b"\xf8\x07\x00" * (size // 3))),
    }


@pytest.mark.parametrize("name", bombs(2))
def test_elements_are_counted_up_to_the_limit_and_no_further(name: str) -> None:
    with pytest.raises(TooManyElements):
        count_protobuf(bombs(SIZE)[name], "traces")


def test_what_applications_send_is_far_below_the_limit() -> None:
    body = request_of(6_000).SerializeToString()
    assert 6_000 < count_protobuf(body, "traces") < MAX_ELEMENTS / 2


@pytest.mark.parametrize("body", [b"[" * SIZE, b"[]," * (SIZE // 3), b'"' * SIZE, b'{"a":1},' * (SIZE // 8)])
def test_json_is_counted_before_it_is_read(body: bytes) -> None:
    with pytest.raises(TooManyElements):
        count_json(body)
    assert count_json(b'{"text": "[{,' + b"x,{[" * 100_000 + b'"}') <= 3  # what stands in texts is no element
    assert count_json(b'"open' + b'\\"' * 1_000) == 0
    assert MAX_JSON_ELEMENTS > 1_000_000


def test_beside_any_body_others_are_answered_and_memory_stays_bounded(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    every = list(bombs(SIZE).items())
    # More than once: what a rejection keeps in memory until the garbage collector comes by adds up.
    chosen = 3 * (every if request.config.getoption("--soak") else [every[2], every[7]])
    bodies = [(name, body, PROTOBUF, "") for name, body in chosen]
    bodies.append(("JSON", b'{"resourceSpans":[' + b"[]," * (SIZE // 3) + b"{}]}", JSON, ""))
    bodies.append(("gzip", gzip.compress(b"\x12\x00" * SIZE, 1), PROTOBUF, "gzip"))
    bodies.append(("zstd", zstandard.compress(b"\0" * (200 << 20)), PROTOBUF, "zstd"))
    with serving(tmp_path / "store", settings="[receive]\nmax_inflight_bytes = 67108864\n") as service:
        assert service.post(request_of(1).SerializeToString()).status == 200
        before, most = service.resident_bytes(), 0
        waits: list[float] = []
        done = threading.Event()

        def bystander() -> None:
            nonlocal most
            while not done.is_set():
                began = time.monotonic()
                assert service.request("GET", "/healthz").status == 200
                assert service.post(request_of(1).SerializeToString()).status == 200
                waits.append(time.monotonic() - began)
                most = max(most, service.resident_bytes())
                time.sleep(0.02)

        watching = threading.Thread(target=bystander)
        watching.start()
        for name, body, kind, encoding in bodies:
            headers = {"Content_Encoding": encoding} if encoding else {}
            assert service.post(body, kind, **headers).status in (400, 413), name
        done.set()
        watching.join()
    waits.sort()
    print(
        f"{len(waits)} bystanders: median {waits[len(waits) // 2]:.3f} s, longest {waits[-1]:.3f} s, {(most - before) >> 20} MiB"
    )
    assert waits[len(waits) // 2] < 1
    assert waits[-1] < 10  # on a machine that has nothing else to do below 1
    assert most - before < 2 * 67_108_864 + (512 << 20)  # the second: the one large body that is counted, and the store
