"""The calls that are timed: clients of both SDKs that answer from memory, and what is asked of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

CHUNKS = 500


def transport(http: Any) -> tuple[Any, Any]:
    """Synchronous and asynchronous clients that answer from memory."""
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    text = "The Pro plan costs 20 euros a month. " * 4
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    chat = {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt", "choices": [choice], "usage": usage}
    content = [{"type": "text", "text": text}]
    message = {"id": "m", "type": "message", "role": "assistant", "model": "claude", "content": content}
    message |= {"stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 100, "output_tokens": 20}}
    item = {"type": "message", "id": "i", "status": "completed", "role": "assistant"}
    item["content"] = [{"type": "output_text", "text": text, "annotations": []}]  # type: ignore[assignment]
    response = {
        "id": "r",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "gpt",
        "output": [item],
    }
    response |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "metadata": {}}
    response["usage"] = {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120,
                         "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}  # fmt: skip
    vector = {"object": "embedding", "index": 0, "embedding": [0.1] * 8}
    embeddings = {"object": "list", "data": [vector], "model": "e", "usage": {"prompt_tokens": 5, "total_tokens": 5}}
    whole = {"completions": chat, "responses": response, "messages": message, "embeddings": embeddings}
    bodies = {name: json.dumps(body).encode() for name, body in whole.items()}
    streams = {"completions": chat_stream(), "messages": message_stream()}

    def answer(request: Any) -> Any:
        kind = request.url.path.rsplit("/", 1)[1]
        if b'"stream":true' in request.content or b'"stream": true' in request.content:
            return http.Response(200, headers={"content-type": "text/event-stream"}, content=streams[kind])
        return http.Response(200, headers={"content-type": "application/json"}, content=bodies[kind])

    mock = http.MockTransport(answer)
    return http.Client(transport=mock), http.AsyncClient(transport=mock)


def chat_stream() -> bytes:
    """A streamed chat completion of CHUNKS chunks."""
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt"}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": f"word{n} "} for n in range(CHUNKS)]
    chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


def message_stream() -> bytes:
    """A streamed message of CHUNKS text deltas."""
    message = {"id": "m", "type": "message", "role": "assistant", "model": "claude", "content": []}
    message |= {"stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 100, "output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": message}]
    events.append({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    for number in range(CHUNKS):
        delta = {"type": "text_delta", "text": f"word{number} "}
        events.append({"type": "content_block_delta", "index": 0, "delta": delta})
    events.append({"type": "content_block_stop", "index": 0})
    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    events.append({"type": "message_delta", "delta": ending, "usage": {"output_tokens": CHUNKS}})
    events.append({"type": "message_stop"})
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


def messages_of(kilobytes: int) -> list[dict[str, str]]:
    """A conversation of about so many kilobytes in messages of about one."""
    line = "The Pro plan costs 20 euros a month, and API access is part of it. "
    if kilobytes == 1:
        return [{"role": "system", "content": line * 4}, {"role": "user", "content": line * 11}]
    turns = [{"role": "user" if n % 2 == 0 else "assistant", "content": line * 15} for n in range(kilobytes)]
    return [{"role": "user", "content": line}, *turns[1:], {"role": "user", "content": line * 15}]


def cases(openai_client: Any, anthropic_client: Any) -> dict[str, tuple[Callable[[], Any], int, int]]:
    """name -> (one call, calls per measurement, chunks a call has or 1)."""
    small, large = messages_of(1), messages_of(32)
    chat, message = openai_client.chat.completions, anthropic_client.messages
    asked: dict[str, Any] = {"model": "claude", "max_tokens": 64, "messages": small[1:]}
    text = small[1]["content"]

    def drain(stream: Any) -> None:
        for _ in stream:
            pass

    def drain_chat_helper() -> None:
        with chat.stream(model="gpt", messages=small) as stream:
            drain(stream)

    def drain_message_helper() -> None:
        with message.stream(**asked) as stream:
            drain(stream.text_stream)

    return {
        "chat 1 KB": (lambda: chat.create(model="gpt", messages=small), 4, 1),
        "chat 32 KB": (lambda: chat.create(model="gpt", messages=large), 2, 1),
        "responses": (lambda: openai_client.responses.create(model="gpt", input=text), 3, 1),
        "embeddings": (lambda: openai_client.embeddings.create(model="e", input=text, encoding_format="float"), 3, 1),
        "messages": (lambda: message.create(**asked), 4, 1),
        "chat chunk": (lambda: drain(chat.create(model="gpt", messages=small, stream=True)), 1, CHUNKS),
        "chat helper chunk": (drain_chat_helper, 1, CHUNKS),
        "messages chunk": (lambda: drain(message.create(**asked, stream=True)), 1, CHUNKS),
        "messages helper chunk": (drain_message_helper, 1, CHUNKS),
    }


def async_cases(openai_client: Any, anthropic_client: Any) -> dict[str, tuple[Callable[[], Any], int, int]]:
    """The same of the asynchronous clients."""
    small = messages_of(1)
    chat, message = openai_client.chat.completions, anthropic_client.messages
    asked: dict[str, Any] = {"model": "claude", "max_tokens": 64, "messages": small[1:]}

    async def drain(opening: Any) -> None:
        async for _ in await opening:
            pass

    return {
        "async chat 1 KB": (lambda: chat.create(model="gpt", messages=small), 4, 1),
        "async messages": (lambda: message.create(**asked), 4, 1),
        "async chat chunk": (lambda: drain(chat.create(model="gpt", messages=small, stream=True)), 1, CHUNKS),
        "async messages chunk": (lambda: drain(message.create(**asked, stream=True)), 1, CHUNKS),
    }
