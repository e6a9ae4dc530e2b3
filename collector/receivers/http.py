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
from .config import ReceiveConfig
from .decompress import inflate
from .ingestor import Intake
from .memory import RequestMemory, Share
from .otlp_json import to_json
from .rejection import INTERNAL, UNIMPLEMENTED, Refused

logger = logging.getLogger(__name__)

PROTOBUF, JSON = "application/x-protobuf", "application/json"
PROJECT = web.RequestKey("project", str)


class Accept(Protocol):
    """One signal's way into the log."""

    def __call__(self, body: bytes, project: str, *, json: bool) -> Awaitable[Message]:
        """The response, or Refused."""


class HttpReceiver:
    """The routes; their requests share `memory` with those of gRPC."""

    def __init__(self, intake: Intake, config: ReceiveConfig, telemetry: Telemetry, memory: RequestMemory) -> None:
        self._config, self._telemetry, self._memory = config, telemetry, memory
        self._signals: dict[str, Accept] = {"traces": intake.traces, "logs": intake.logs, "metrics": intake.metrics}

    def add_routes(self, app: web.Application) -> None:
        """Adds one POST route for each signal."""
        for signal, accept in self._signals.items():
            app.router.add_post(f"/v1/{signal}", self._route(signal, accept))

    def _route(self, signal: str, accept: Accept) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def export(request: web.Request) -> web.Response:
            content_type = request.content_type.lower()
            try:
                if content_type not in (PROTOBUF, JSON):
                    raise Refused.unsupported(f"Content-Type {content_type!r}: OTLP is {PROTOBUF} or {JSON}")
                message = await self._exported(request, accept, json=content_type == JSON)
                response = encoded(message, content_type)
            except Refused as refused:
                response = refusal_response(refused, content_type)
            except Exception:
                logger.exception("a request of %d bytes to /v1/%s failed", request.content_length or 0, signal)
                response = refusal_response(
                    Refused(500, INTERNAL, "unexpected; the collector's log says more"), content_type
                )
            self._telemetry.add("requests_total", 1, signal=signal, status=str(response.status))
            return response

        return export

    async def _exported(self, request: web.Request, accept: Accept, *, json: bool) -> Message:
        limit, announced = self._config.max_body_bytes, request.content_length or 0
        if announced > limit:
            raise Refused.too_large(f"the body has {announced} bytes, the limit is {limit}; send fewer spans at once")
        with self._memory.share() as share:
            share.grow_to(announced)
            sent = await self._read(request, share)
            body = inflate(sent, request.headers.get("Content-Encoding", ""), limit)
            share.grow_to(len(sent) + len(body))
            return await accept(body, request[PROJECT], json=json)

    async def _read(self, request: web.Request, share: Share) -> bytes:
        """The body. A chunked one does not announce its length: it takes its share piece by piece."""
        limit, body = self._config.max_body_bytes, bytearray()
        try:
            async with asyncio.timeout(self._config.body_timeout_s):
                async for piece in request.content.iter_any():
                    if len(body) + len(piece) > limit:
                        raise Refused.too_large(f"the body has more than {limit} bytes; send fewer spans at once")
                    share.grow_to(len(body) + len(piece))
                    body += piece
        except TimeoutError as error:
            raise Refused(408, 4, f"the body took longer than {self._config.body_timeout_s:g} s") from error
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
        answer = refusal_response(Refused(error.status, UNIMPLEMENTED, message), request.content_type)
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer


def encoded(message: Message, content_type: str, status: int = 200) -> web.Response:
    """A protobuf message as the body of an answer."""
    body = to_json(message) if content_type == JSON else message.SerializeToString()
    return web.Response(body=body, status=status, content_type=content_type)


def refusal_response(refused: Refused, content_type: str) -> web.Response:
    """google.rpc.Status in the request's content type; JSON for senders that speak neither."""
    answer = encoded(
        Status(code=refused.code, message=refused.message),
        PROTOBUF if content_type.lower() == PROTOBUF else JSON,
        refused.http_status,
    )
    if refused.retry_after_s is not None:
        answer.headers["Retry-After"] = str(refused.retry_after_s)
    if refused.http_status == 408:
        answer.force_close()
    return answer
