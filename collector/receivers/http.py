"""OTLP/HTTP: POST /v1/traces, /v1/logs, /v1/metrics in protobuf or JSON; the answer has the request's content type."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Handler
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from ...queries.host.telemetry import Telemetry
from ...queries.http.access import ACCESS
from ...queries.http.decompression import DecompressionError, TooLong, UnknownEncoding, decompress
from .config import ReceiveConfig
from .ingestor import Ingestor
from .memory import RequestMemory, Reservation
from .otlp_json import to_json
from .rejection import INTERNAL, UNIMPLEMENTED, RequestRejected

logger = logging.getLogger(__name__)

PROTOBUF, JSON = "application/x-protobuf", "application/json"
ENCODINGS = ("identity", "gzip", "deflate", "zstd")


class Accept(Protocol):
    """One signal's way into the log."""

    def __call__(self, body: bytes, project: str, *, json: bool, reservation: Reservation) -> Awaitable[Message]:
        """The response, or RequestRejected. `reservation` grows with what is made of the body."""


class HttpReceiver:
    """The routes; their requests share `memory` with those of gRPC."""

    def __init__(self, intake: Ingestor, config: ReceiveConfig, telemetry: Telemetry, memory: RequestMemory) -> None:
        self._config, self._telemetry, self._memory = config, telemetry, memory
        self._signals: dict[str, Accept] = {"traces": intake.traces, "logs": intake.logs, "metrics": intake.metrics}

    def add_routes(self, app: web.Application) -> None:
        """Adds one POST route for each signal."""
        for signal, accept in self._signals.items():
            app.router.add_post(f"/v1/{signal}", self._route(signal, accept))

    def _route(self, signal: str, accept: Accept) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def export(request: web.Request) -> web.Response:
            with self._telemetry.timed("request_duration_seconds", signal=signal, transport="http"):
                return await answer(request)

        async def answer(request: web.Request) -> web.Response:
            content_type = request.content_type.lower()
            try:
                if content_type not in (PROTOBUF, JSON):
                    raise RequestRejected.unsupported(f"Content-Type {content_type!r}: OTLP is {PROTOBUF} or {JSON}")
                message = await self._exported(request, accept, json=content_type == JSON)
                response = encoded(message, content_type)
            except RequestRejected as rejected:
                response = rejection_response(rejected, content_type)
            except Exception:
                logger.exception("a request of %d bytes to /v1/%s failed", request.content_length or 0, signal)
                response = rejection_response(
                    RequestRejected(500, INTERNAL, "unexpected; the collector's log says more"), content_type
                )
            self._telemetry.add("requests_total", 1, signal=signal, status=str(response.status))
            return response

        return export

    async def _exported(self, request: web.Request, accept: Accept, *, json: bool) -> Message:
        limit, announced = self._config.max_body_bytes, request.content_length or 0
        if announced > limit:
            raise RequestRejected.too_large(
                f"the body has {announced} bytes, the limit is {limit}; send fewer spans at once"
            )
        access = request[ACCESS]
        with self._memory.reservation(access.holder) as reservation:
            reservation.resize(announced)
            sent = await self._read(request, reservation)
            body = decompressed(sent, request.headers.get("Content-Encoding", ""), limit)
            reservation.resize(len(sent) + len(body))
            return await accept(body, access.project, json=json, reservation=reservation)

    async def _read(self, request: web.Request, reservation: Reservation) -> bytes:
        """The body. A chunked one does not announce its length: it takes its share piece by piece."""
        limit, body = self._config.max_body_bytes, bytearray()
        try:
            async with asyncio.timeout(self._config.body_timeout_s):
                async for piece in request.content.iter_any():
                    if len(body) + len(piece) > limit:
                        raise RequestRejected.too_large(
                            f"the body has more than {limit} bytes; send fewer spans at once"
                        )
                    reservation.resize(len(body) + len(piece))
                    body += piece
        except TimeoutError as error:
            raise RequestRejected(408, 4, f"the body took longer than {self._config.body_timeout_s:g} s") from error
        return bytes(body)


@web.middleware
async def statuses_for_all(request: web.Request, handler: Handler) -> web.StreamResponse:
    """An unknown path and a wrong method under /v1/ are answered as everything there is: with a google.rpc.Status."""
    try:
        return await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as error:
        if not request.path.startswith("/v1/"):
            raise
        message = f"{request.method} {request.path}: OTLP is POST to /v1/traces, /v1/logs or /v1/metrics"
        answer = rejection_response(RequestRejected(error.status, UNIMPLEMENTED, message), request.content_type)
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer


def decompressed(body: bytes, encoding: str, limit: int) -> bytes:
    """The body as it was before `encoding`. Raises RequestRejected."""
    try:
        return decompress(body, encoding, limit, known=ENCODINGS)
    except UnknownEncoding as error:
        raise RequestRejected.unsupported(str(error)) from error
    except TooLong as error:
        raise RequestRejected.too_large(f"{error}; send fewer spans at once (max_export_batch_size)") from error
    except DecompressionError as error:
        raise RequestRejected.malformed(str(error)) from error


def encoded(message: Message, content_type: str, status: int = 200) -> web.Response:
    """A protobuf message as the body of an answer."""
    body = to_json(message) if content_type == JSON else message.SerializeToString()
    return web.Response(body=body, status=status, content_type=content_type)


def rejection_response(rejected: RequestRejected, content_type: str) -> web.Response:
    """google.rpc.Status in the request's content type; JSON for senders that speak neither."""
    answer = encoded(
        Status(code=rejected.code, message=rejected.message),
        PROTOBUF if content_type.lower() == PROTOBUF else JSON,
        rejected.http_status,
    )
    if rejected.retry_after_s is not None:
        answer.headers["Retry-After"] = str(rejected.retry_after_s)
    if rejected.http_status == 408:
        answer.force_close()
    return answer
