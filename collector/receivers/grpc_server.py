"""OTLP/gRPC: the same intake behind the three collector services; refusals become gRPC codes with RetryInfo."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from ...errors import UsageError
from ...queries.host.auth import Access, KeyRing
from ...queries.host.limits import LimitsConfig
from ...queries.host.telemetry import Telemetry
from ...queries.http.connection_guard import connections_within
from .config import ReceiveConfig
from .http import Accept
from .ingestor import Ingestor
from .memory import RequestMemory
from .rejection import RequestRejected
from .tls import certificate_of, grpc_credentials

_SERVICES = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
}
_WAITING_CALLS = 16_384
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class GrpcReceiver:
    """The gRPC server; `start` returns the port it listens on."""

    def __init__(
        self,
        intake: Ingestor,
        config: ReceiveConfig,
        keys: KeyRing,
        telemetry: Telemetry,
        memory: RequestMemory,
        limits: LimitsConfig,
    ) -> None:
        self._peers = Peers(limits.connections_per_peer)
        self._config, self._keys, self._telemetry, self._memory = config, keys, telemetry, memory
        # Calls beyond these wait unread. gRPC's own limit would end them with a code that clients do not try again.
        # How long a message is shows when it is there: if all are as long as may be, they take twice what is allowed.
        self._readers = asyncio.Semaphore(2 * max(1, config.max_inflight_bytes // config.max_body_bytes))
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", config.max_body_bytes),
                ("grpc.so_reuseport", 0),
                ("grpc.server_handshake_timeout_ms", int(config.header_timeout_s * 1000)),
                ("grpc.max_metadata_size", 16 * 1024),
                ("grpc.max_allowed_incoming_connections", connections_within(limits.grpc_connections, 0.125)),
                ("grpc.max_concurrent_streams", limits.grpc_streams),
                ("grpc.max_connection_idle_ms", int(config.idle_timeout_s * 1000)),
                # gRPC by itself ends calls at random with CANCELLED once 1,000 wait, which some clients take as final.
                ("grpc.server.max_pending_requests", _WAITING_CALLS),
                ("grpc.server.max_pending_requests_hard_limit", _WAITING_CALLS),
            ],
        )
        accepts: dict[str, Accept] = {"traces": intake.traces, "logs": intake.logs, "metrics": intake.metrics}
        for signal, accept in accepts.items():
            # As a stream of one message, so that the message is read when we ask for it and not before.
            method: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_unary_rpc_method_handler(
                self._export(signal, accept)
            )
            service = grpc.method_handlers_generic_handler(_SERVICES[signal], {"Export": method})
            self._server.add_generic_rpc_handlers((service,))

    async def start(self) -> int:
        """Binds and serves. Raises UsageError when the port is taken."""
        host = f"[{self._config.host}]" if ":" in self._config.host else self._config.host
        try:
            address = f"{host}:{self._config.grpc_port}"
            certificate = certificate_of(self._config)
            port = (
                self._server.add_secure_port(address, grpc_credentials(certificate))
                if certificate
                else self._server.add_insecure_port(address)
            )
        except RuntimeError as error:
            raise UsageError(
                f"Cannot listen on {host}:{self._config.grpc_port} for gRPC.",
                hint="Choose another port with --grpc-port (0 picks a free one, -1 switches gRPC off).",
            ) from error
        await self._server.start()
        return int(port)

    async def stop(self) -> None:
        """Refuses new calls and finishes those in progress."""
        await self._server.stop(grace=5)

    def _export(self, signal: str, accept: Accept) -> Callable[[AsyncIterator[bytes], Any], Awaitable[bytes]]:
        async def export(messages: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            with self._telemetry.timed("request_duration_seconds", signal=signal, transport="grpc"):
                return await answer(messages, context)

        async def answer(messages: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            try:
                access = self._access(context)
                with self._peers.call(context.peer()):
                    body = await self._read(messages)
                    with self._memory.reservation(access.holder) as reservation:
                        reservation.resize(len(body))
                        message = await accept(body, access.project, json=False, reservation=reservation)
            except RequestRejected as rejected:
                self._telemetry.add("grpc_requests_total", 1, signal=signal, code=_CODES[rejected.code].name)
                await context.abort(_CODES[rejected.code], rejected.message, _details(rejected))
            self._telemetry.add("grpc_requests_total", 1, signal=signal, code="OK")
            return message.SerializeToString()

        return export

    async def _read(self, messages: AsyncIterator[bytes]) -> bytes:
        """The call's only message."""
        try:
            async with asyncio.timeout(self._config.body_timeout_s), self._readers:
                async for body in messages:
                    return body
        except TimeoutError as error:
            raise RequestRejected.busy(f"the message was not here within {self._config.body_timeout_s:g} s") from error
        raise RequestRejected.malformed("the call ended without a message")

    def _access(self, context: grpc.aio.ServicerContext[bytes, bytes]) -> Access:
        metadata = dict(context.invocation_metadata() or ())
        access = self._keys.access(str(metadata.get("authorization", "")))
        if access is None:
            raise RequestRejected.unauthenticated()
        return access


class Peers:
    """The connections that have calls in progress, by address: gRPC shows connections only in their calls."""

    def __init__(self, most_per_peer: int) -> None:
        self._most = most_per_peer
        self._calls: dict[str, Counter[str]] = {}

    @contextmanager
    def call(self, peer: str) -> Iterator[None]:
        """A call of `peer`, "ipv4:ADDRESS:PORT". Raises RequestRejected when its address has too many connections."""
        address = peer.rpartition(":")[0]
        connections = self._calls.setdefault(address, Counter())
        if peer not in connections and len(connections) >= self._most:
            raise RequestRejected.busy(
                f"{len(connections)} connections from this address have calls in progress, as many as it may have"
                " ([limits] connections_per_peer)"
            )
        connections[peer] += 1
        try:
            yield
        finally:
            connections[peer] -= 1
            if not connections[peer]:
                del connections[peer]
            if not connections:
                self._calls.pop(address, None)


def _details(rejected: RequestRejected) -> tuple[tuple[str, bytes], ...]:
    """What tells a client that it may send again, and when: without RetryInfo some codes are final."""
    if rejected.retry_after_s is None:
        return ()
    status = Status(code=rejected.code, message=rejected.message)
    detail = AnyMessage()
    detail.Pack(RetryInfo(retry_delay=Duration(seconds=rejected.retry_after_s)))
    status.details.append(detail)
    return (("grpc-status-details-bin", status.SerializeToString()),)
