"""A scripted HTTP server that speaks the OpenAI and Anthropic APIs byte for byte, with faults on demand.

Not a model: it says what it was told to. `tests/scripted_bodies.py` has the bodies.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from . import scripted_bodies as bodies
from .scripted_clouds import api_path, bedrock_frame, form_fields

Answer = Callable[[dict[str, Any]], str]


@dataclass(frozen=True)
class Reply:
    """What the next request gets instead of the usual reply; the fields combine."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Sent as it is; None means the usual body, or the API's error body for a status of 400 and more."""
    cut_after: int | None = None
    """Close the connection after so many streamed events, or so many bytes of a plain body."""
    delay_s: float = 0.0
    """Wait before the first byte."""
    gap_s: float = 0.0
    """Wait before each further streamed event."""


@dataclass
class Request:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.raw)


class _Patient(ThreadingHTTPServer):
    request_queue_size = 128  # connections of many threads at once: five may wait by default, the sixth can be reset


class ScriptedServer:
    """Replies from the script first, then with the answer; keeps every request."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.script: deque[Reply] = deque()
        self.answer: Answer = lambda body: bodies.ANSWER
        self.options: dict[str, Any] = {}
        """Handed to the body builders: tool=True, refusal=True, usage=False, chunks=500 ..."""
        self._server = _Patient(("127.0.0.1", 0), type("Handler", (_Handler,), {"scripted": self}))
        self._server.daemon_threads = True
        self.root = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.url = f"{self.root}/v1"

    def then(self, *replies: Reply) -> None:
        """Puts replies at the end of the script."""
        self.script.extend(replies)

    def serve(self) -> None:
        """Serves until `close`."""
        self._server.serve_forever(poll_interval=0.02)

    def close(self) -> None:
        """Stops serving."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    """A server on a free port of the loopback, for `OpenAI(base_url=server.url)` and `Anthropic(base_url=server.root)`."""
    server = ScriptedServer()
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    scripted: ScriptedServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self._reply("GET")

    def do_POST(self) -> None:
        self._reply("POST")

    def do_DELETE(self) -> None:
        self._reply("DELETE")

    def _reply(self, method: str) -> None:
        raw = self._body()
        request = Request(method, self.path, {k.lower(): v for k, v in self.headers.items()}, raw)
        self.scripted.requests.append(request)
        reply = self.scripted.script.popleft() if self.scripted.script else Reply()
        if reply.delay_s:
            time.sleep(reply.delay_s)
        try:
            self._send(request, reply)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _send(self, request: Request, reply: Reply) -> None:
        path, _, query = self.path.partition("?")
        framed = path.endswith("/invoke-with-response-stream")
        path = api_path(path)
        sent = json.loads(request.raw) if request.raw.startswith(b"{") else form_fields(request.raw)
        if reply.body is not None or reply.status >= 400:
            self._whole(reply, reply.body if reply.body is not None else bodies.error(path, reply.status))
        elif framed:
            events = bodies.message_events(sent, self.scripted.answer(sent), self.scripted.options)
            self._events(reply, [bedrock_frame(event) for event in events], "application/vnd.amazon.eventstream")
        elif sent.get("stream") or "stream=true" in query:
            self._events(reply, bodies.stream(path, sent, self.scripted.answer(sent), self.scripted.options))
        else:
            content_type, body = bodies.whole(
                path, request.raw, sent, self.scripted.answer(sent), self.scripted.options
            )
            self._whole(reply, body, content_type)

    def _whole(self, reply: Reply, body: bytes, content_type: str = "application/json") -> None:
        self._head(reply, content_type, {"content-length": str(len(body))})
        self.wfile.write(body[: reply.cut_after])
        if reply.cut_after is not None:
            self.close_connection = True

    def _events(
        self, reply: Reply, events: list[bytes], content_type: str = "text/event-stream; charset=utf-8"
    ) -> None:
        self._head(reply, content_type, {"transfer-encoding": "chunked"})
        for count, event in enumerate(events):
            if reply.cut_after is not None and count >= reply.cut_after:
                self.close_connection = True
                return
            if reply.gap_s and count:
                time.sleep(reply.gap_s)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _head(self, reply: Reply, content_type: str, more: dict[str, str]) -> None:
        self.send_response(reply.status)
        headers = {"content-type": content_type, "x-request-id": "req_scripted", "request-id": "req_scripted"}
        for name, value in {**headers, **more, **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
