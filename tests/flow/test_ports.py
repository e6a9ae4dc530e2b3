"""Every limit at every port: what one port refuses or closes, no other port lets stand."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest

from ..collector.serving import Collector, serving
from ..collector.traffic import request_of

SETTINGS = """
[receive]
header_timeout_s = 1
body_timeout_s = 1
idle_timeout_s = 1
max_body_bytes = 300000
[limits]
connections_per_peer = 12
grpc_connections = 20
grpc_streams = 30
"""
PATIENCE_S = 20  # on a busy machine; each of the limits above is one second
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
NO_SETTINGS = struct.pack(">I", 0)[1:] + b"\x04\x00" + struct.pack(">I", 0)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    path = tmp_path_factory.mktemp("ports") / "store"
    with serving(path, "--sql-port", "0", "--grpc-port", "0", settings=SETTINGS) as running:
        yield running


class Port:
    """How one of the ports is spoken to."""

    def __init__(self, name: str, method: str, path: str, content_type: str = "text/plain") -> None:
        self.name, self.method, self.path, self.content_type = name, method, path, content_type

    def address(self, service: Collector) -> tuple[str, int]:
        if self.name == "grpc":
            host, _, port = service.grpc_address.rpartition(":")
        else:
            where = urlsplit(service.owner["sql" if self.name == "sql" else "http"])
            host, port = str(where.hostname), str(where.port)
        return host, int(port)

    def connect(self, service: Collector) -> socket.socket:
        return socket.create_connection(self.address(service), PATIENCE_S)

    def head(self, length: int = 0) -> bytes:
        """A whole header that announces so many bytes."""
        return (
            f"{self.method} {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {self.content_type}\r\n"
            f"Content-Length: {length}\r\n\r\n"
        ).encode()


HTTP_PORTS = {
    "OTLP": Port("http", "POST", "/v1/traces", "application/x-protobuf"),
    "logs": Port("http", "POST", "/v1/logs", "application/json"),
    "pages": Port("http", "POST", "/views", "application/x-www-form-urlencoded"),
    "sign-in": Port("http", "POST", "/login", "application/x-www-form-urlencoded"),
    "SQL": Port("sql", "POST", "/"),
}
EVERY_PORT = {**HTTP_PORTS, "gRPC": Port("grpc", "POST", "")}


def rest(connection: socket.socket) -> bytes:
    """All that comes until the other side closes, which it has to."""
    found, until = b"", time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            some = connection.recv(65536)
        except ConnectionError:
            return found
        if not some:
            return found
        found += some
    raise AssertionError("it stays open")


@pytest.mark.parametrize("name", EVERY_PORT)
def test_a_connection_that_says_nothing_is_closed(name: str, service: Collector) -> None:
    with EVERY_PORT[name].connect(service) as connection:
        rest(connection)


@pytest.mark.parametrize("name", EVERY_PORT)
def test_a_connection_that_never_ends_its_header_is_closed(name: str, service: Collector) -> None:
    with EVERY_PORT[name].connect(service) as connection:
        connection.sendall(PREFACE[:10] if name == "gRPC" else EVERY_PORT[name].head()[:20])
        rest(connection)


@pytest.mark.parametrize("name", HTTP_PORTS)
def test_so_is_one_that_does_so_in_its_second_request(name: str, service: Collector) -> None:
    with HTTP_PORTS[name].connect(service) as connection:
        connection.sendall(HTTP_PORTS[name].head())
        assert connection.recv(12).startswith(b"HTTP/1.1 ")
        connection.sendall(HTTP_PORTS[name].head()[:20])
        rest(connection)


@pytest.mark.parametrize("name", EVERY_PORT)
def test_an_idle_connection_is_closed(name: str, service: Collector) -> None:
    with EVERY_PORT[name].connect(service) as connection:
        connection.sendall(PREFACE + NO_SETTINGS if name == "gRPC" else EVERY_PORT[name].head())
        assert rest(connection)


@pytest.mark.parametrize("name", HTTP_PORTS)
def test_a_body_that_never_ends_is_refused_in_time(name: str, service: Collector) -> None:
    with HTTP_PORTS[name].connect(service) as connection:
        connection.sendall(HTTP_PORTS[name].head(1000) + b"x" * 10)
        assert connection.recv(12) == b"HTTP/1.1 408"


@pytest.mark.parametrize("name", HTTP_PORTS)
def test_a_body_that_is_too_long_is_refused_before_it_is_read(name: str, service: Collector) -> None:
    with HTTP_PORTS[name].connect(service) as connection:
        connection.sendall(HTTP_PORTS[name].head(50 << 20))
        answer = connection.recv(12)
        if not answer and name == "SQL":  # nothing says so before
            return
        assert answer.startswith((b"HTTP/1.1 413", b"HTTP/1.1 400", b"HTTP/1.1 408")), answer


@pytest.mark.parametrize("name", ["OTLP", "SQL"])
def test_one_address_has_so_many_connections_and_others_are_let_in_again(name: str, service: Collector) -> None:
    port = HTTP_PORTS[name]
    held = [port.connect(service) for _ in range(12)]
    time.sleep(0.3)
    with port.connect(service) as beyond:
        beyond.settimeout(PATIENCE_S)
        assert rest(beyond) == b""
    for each in held:
        each.close()
    until = time.monotonic() + PATIENCE_S
    while True:
        with port.connect(service) as again:
            again.sendall(port.head())
            if rest(again):
                return
        assert time.monotonic() < until


def code(call: Callable[[], Any]) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as refusal:
        call()
    found: grpc.StatusCode = refusal.value.code()
    return found


def test_grpc_bounds_bodies_and_waiting_too(service: Collector) -> None:
    with grpc.insecure_channel(service.grpc_address) as channel:
        export: Any = channel.stream_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")

        def never() -> Iterator[bytes]:
            time.sleep(PATIENCE_S)
            yield b""

        assert code(lambda: export(never(), timeout=PATIENCE_S)) == grpc.StatusCode.UNAVAILABLE
        assert code(lambda: export(iter([b"\0" * 400_000]), timeout=PATIENCE_S)) == grpc.StatusCode.RESOURCE_EXHAUSTED
        metadata = (("x-long", "y" * 40_000),)
        assert code(lambda: export(iter([b""]), timeout=PATIENCE_S, metadata=metadata)) in (
            grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL,
        )  # fmt: skip
        assert export(iter([request_of(1).SerializeToString()]), timeout=PATIENCE_S) == b""
        time.sleep(3)  # the server has closed the idle connection; clients make a new one
        assert export(iter([request_of(1).SerializeToString()]), timeout=PATIENCE_S) == b""


def greeted(service: Collector) -> tuple[socket.socket, bytes]:
    """A connection that speaks HTTP/2, and what the server says to it."""
    connection = EVERY_PORT["gRPC"].connect(service)
    try:
        connection.sendall(PREFACE + NO_SETTINGS)
        return connection, connection.recv(4096)
    except ConnectionError:
        return connection, b""


def test_grpc_has_so_many_connections_with_so_many_calls_each_and_lets_in_others_again(service: Collector) -> None:
    held = [greeted(service) for _ in range(26)]
    assert sum(bool(said) for _, said in held) == 20
    settings = next(said for _, said in held if said)
    assert struct.pack(">HI", 3, 30) in settings, "SETTINGS_MAX_CONCURRENT_STREAMS"
    for connection, _ in held:
        connection.close()
    until = time.monotonic() + PATIENCE_S
    while True:
        connection, said = greeted(service)
        connection.close()
        if said:
            return
        assert time.monotonic() < until


def test_grpc_gives_one_address_so_many_connections_with_calls(service: Collector) -> None:
    def never() -> Iterator[bytes]:
        time.sleep(2)
        yield b""

    def export(channel: grpc.Channel) -> Any:
        return channel.stream_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")

    # A pool of its own for each: else channels to one address share a connection.
    own = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.insecure_channel(service.grpc_address, options=own) for _ in range(13)]
    try:
        refused: list[str] = []
        until = time.monotonic() + PATIENCE_S
        while not refused and time.monotonic() < until:  # each call ends after body_timeout_s
            calls = [export(channel).future(never(), timeout=PATIENCE_S) for channel in channels]
            errors = [str(call.exception(PATIENCE_S)) for call in calls]
            refused = [error for error in errors if "[limits] connections_per_peer" in error]
        assert len(refused) == 1
        assert "UNAVAILABLE" in refused[0]
        assert export(channels[12])(iter([request_of(1).SerializeToString()]), timeout=PATIENCE_S) == b""
    finally:
        for channel in channels:
            channel.close()


def test_the_service_goes_on_after_all_of_this(service: Collector) -> None:
    assert service.request("GET", "/healthz").status == 200
    assert service.post(request_of(1).SerializeToString()).status == 200
