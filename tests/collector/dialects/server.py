"""A scripted OpenAI and Anthropic server that also takes OTLP exports, for recording what instrumentors really emit."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWER = "Hold the button for ten seconds."
OPENAI_USAGE = {
    "prompt_tokens": 42,
    "completion_tokens": 17,
    "total_tokens": 59,
    "prompt_tokens_details": {"cached_tokens": 8},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
CHAT = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini-2024-07-18"}
ANTHROPIC_USAGE = {
    "input_tokens": 30,
    "output_tokens": 11,
    "cache_read_input_tokens": 12,
    "cache_creation_input_tokens": 4,
}


def chat(request: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": ANSWER}
    reason = "stop"
    if request.get("tools") and request["messages"][-1]["role"] != "tool":
        call = {"name": "find_order", "arguments": '{"order_id": "A-17"}'}
        message = {"role": "assistant", "content": None}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": call}]
        reason = "tool_calls"
    choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
    return {**CHAT, "choices": [choice], "usage": OPENAI_USAGE}


def chat_chunks() -> Iterator[dict[str, Any]]:
    chunk = {**CHAT, "object": "chat.completion.chunk"}
    for delta in ({"role": "assistant", "content": "Hold the button "}, {"content": "for ten seconds."}):
        yield {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    yield {**chunk, "choices": [], "usage": OPENAI_USAGE}


def response(request: dict[str, Any]) -> dict[str, Any]:
    text = {"type": "output_text", "text": ANSWER, "annotations": []}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "gpt-4o-mini-2024-07-18",
        "instructions": request.get("instructions"),
        "output": [{"id": "m1", "type": "message", "role": "assistant", "status": "completed", "content": [text]}],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 42,
            "output_tokens": 17,
            "total_tokens": 59,
            "input_tokens_details": {"cached_tokens": 8},
            "output_tokens_details": {"reasoning_tokens": 5},
        },
    }


def embeddings(request: dict[str, Any]) -> dict[str, Any]:
    vector = {"object": "embedding", "index": 0, "embedding": [0.1, 0.2, 0.3]}
    usage = {"prompt_tokens": 6, "total_tokens": 6}
    return {"object": "list", "data": [vector], "model": "text-embedding-3-small", "usage": usage}


def message(request: dict[str, Any]) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": ANSWER}]
    reason = "end_turn"
    if request.get("tools"):
        content.append({"type": "tool_use", "id": "toolu_1", "name": "find_order", "input": {"order_id": "A-17"}})
        reason = "tool_use"
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929"}
    return {**head, "content": content, "stop_reason": reason, "stop_sequence": None, "usage": ANTHROPIC_USAGE}


ROUTES = {
    "/v1/chat/completions": chat,
    "/v1/responses": response,
    "/v1/embeddings": embeddings,
    "/v1/messages": message,
}


class Handler(BaseHTTPRequestHandler):
    """Answers from the script; keeps the bodies of OTLP trace exports."""

    protocol_version = "HTTP/1.1"
    exports: list[bytes] = []  # noqa: RUF012 - replaced per server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.split("?")[0]
        if path.endswith("/v1/traces"):
            import gzip

            self.exports.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            return self.reply(b"", "application/x-protobuf")
        if path not in ROUTES:
            return self.reply(b"{}", "application/json")
        request = json.loads(body)
        if request.get("model") == "no-such-model":
            error = {"error": {"message": "no such model", "type": "invalid_request_error", "code": "model_not_found"}}
            return self.reply(json.dumps(error).encode(), "application/json", 404)
        if request.get("stream"):
            lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chat_chunks()]
            return self.reply("".join([*lines, "data: [DONE]\n\n"]).encode(), "text/event-stream")
        return self.reply(json.dumps(ROUTES[path](request)).encode(), "application/json")

    def do_GET(self) -> None:
        self.reply(b"{}", "application/json")

    def reply(self, body: bytes, content_type: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet: the recording is the output."""


@contextmanager
def scripted() -> Iterator[tuple[str, list[bytes]]]:
    """A running server's base URL and the OTLP bodies it got."""
    exports: list[bytes] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Recording", (Handler,), {"exports": exports}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", exports
    finally:
        server.shutdown()
        server.server_close()
