"""The bodies of the scripted server: what each endpoint of both APIs sends, whole and streamed."""

from __future__ import annotations

import json
from typing import Any

from .scripted_media import (
    MP3,
    embeddings,
    image_events,
    images,
    moderations,
    transcription,
    transcription_events,
)

ANSWER = "The Pro plan costs 20 euros a month."
TOOL_ARGUMENTS = '{"city": "Lisbon", "days": 3}'
CHAT_USAGE = {
    "prompt_tokens": 1234,
    "completion_tokens": 567,
    "total_tokens": 1801,
    "prompt_tokens_details": {"cached_tokens": 321, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 89, "audio_tokens": 0},
}
RESPONSES_USAGE = {
    "input_tokens": 1234,
    "input_tokens_details": {"cached_tokens": 321},
    "output_tokens": 567,
    "output_tokens_details": {"reasoning_tokens": 89},
    "total_tokens": 1801,
}
MESSAGE_USAGE = {
    "input_tokens": 868,
    "cache_read_input_tokens": 321,
    "cache_creation_input_tokens": 45,
    "output_tokens": 567,
    "service_tier": "standard",
}


def error(path: str, status: int) -> bytes:
    """The API's own error body."""
    if "/messages" in path:
        return _json({"type": "error", "error": {"type": "api_error", "message": f"scripted {status}"}})
    return _json({"error": {"message": f"scripted {status}", "type": "api_error", "param": None, "code": None}})


def whole(path: str, raw: bytes, sent: dict[str, Any], answer: str, options: dict[str, Any]) -> tuple[str, bytes]:
    """Content type and body of a reply that is not streamed."""
    if path.endswith("/audio/speech"):
        return "audio/mpeg", MP3
    if "/audio/" in path and sent.get("response_format") == "text":
        return "text/plain", answer.encode()
    builders = {
        "/chat/completions": chat,
        "/completions": completion,
        "/embeddings": embeddings,
        "/images/generations": images,
        "/images/edits": images,
        "/images/variations": images,
        "/moderations": moderations,
        "/audio/transcriptions": transcription,
        "/audio/translations": transcription,
        "/messages": message,
        "/messages/count_tokens": lambda *_: {"input_tokens": 42},
        "/messages/batches": lambda *_: BATCH,
    }
    for suffix, build in builders.items():
        if path.endswith(suffix):
            return "application/json", _json(build(sent, answer, options))
    if "/responses" in path:
        return "application/json", _json(response(sent, answer, options))
    return "application/json", _json({"object": "list", "data": []})


def stream(path: str, sent: dict[str, Any], answer: str, options: dict[str, Any]) -> list[bytes]:
    """The server-sent events of a streamed reply, one byte string each."""
    if path.endswith("/messages"):
        return [_named(event) for event in message_events(sent, answer, options)]
    if "/responses" in path:
        return [_named(event) for event in response_events(sent, answer, options)]
    if "/images/" in path:
        return [_named(event) for event in image_events(path)]
    if "/audio/" in path:
        return [*map(_data, transcription_events(pieces(answer, options))), b"data: [DONE]\n\n"]
    if path.endswith("/chat/completions"):
        return [*map(_data, chat_chunks(sent, answer, options)), b"data: [DONE]\n\n"]
    return [*map(_data, completion_chunks(sent, answer, options)), b"data: [DONE]\n\n"]


def pieces(answer: str, options: dict[str, Any]) -> list[str]:
    """The answer in as many pieces as asked for, else in words."""
    if count := options.get("chunks"):
        return [f"w{number} " for number in range(count)]
    return [word + " " for word in answer.split(" ")[:-1]] + answer.split(" ")[-1:]


def chat(sent: dict[str, Any], answer: str, options: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"role": "assistant", "content": answer, "refusal": None, "annotations": []}
    reason = "stop"
    if options.get("tool"):
        call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": TOOL_ARGUMENTS}}
        said, reason = {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]}, "tool_calls"
    if options.get("refusal"):
        said = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}
    choices = [
        {"index": index, "message": said, "logprobs": None, "finish_reason": reason}
        for index in range(sent.get("n") or 1)
    ]
    found = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1763900000,
        "model": "gpt-5-mini-2026-08-01",
        "choices": None if options.get("null_choices") else choices,
        "usage": CHAT_USAGE,
        "service_tier": "default",
        "system_fingerprint": "fp_1",
    }
    if options.get("usage") is False:
        del found["usage"]
    return found


def chat_chunks(sent: dict[str, Any], answer: str, options: dict[str, Any]) -> list[dict[str, Any]]:
    def chunk(delta: dict[str, Any], reason: str | None = None, **more: Any) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1763900000}
        return {**head, "model": "gpt-5-mini-2026-08-01", "choices": [choice], "usage": None, **more}

    made = [chunk({"role": "assistant", "content": ""})]
    if options.get("tool"):
        made.append(chunk({"tool_calls": [_piece("get_weather", "", "call_1")]}))
        half = len(TOOL_ARGUMENTS) // 2
        made += [chunk({"tool_calls": [_piece(None, part)]}) for part in (TOOL_ARGUMENTS[:half], TOOL_ARGUMENTS[half:])]
        made.append(chunk({}, "tool_calls"))
    elif options.get("refusal"):
        made += [chunk({"refusal": part}) for part in ("I cannot ", "help with that.")] + [chunk({}, "stop")]
    else:
        made += [chunk({"content": piece}) for piece in pieces(answer, options)] + [chunk({}, "stop")]
    if (sent.get("stream_options") or {}).get("include_usage"):
        made.append(chunk({}, usage=CHAT_USAGE) | {"choices": []})
    return made


def completion(sent: dict[str, Any], answer: str, options: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "text": answer, "logprobs": None, "finish_reason": "stop"}
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1763900000, "model": "gpt-3.5-turbo-instruct"}
    return {**head, "choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}


def completion_chunks(sent: dict[str, Any], answer: str, options: dict[str, Any]) -> list[dict[str, Any]]:
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1763900000, "model": "gpt-3.5-turbo-instruct"}
    made = [{"index": 0, "text": piece, "logprobs": None, "finish_reason": None} for piece in pieces(answer, options)]
    made.append({"index": 0, "text": "", "logprobs": None, "finish_reason": "stop"})
    return [{**head, "choices": [choice], "usage": None} for choice in made]


def response(sent: dict[str, Any], answer: str, options: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    content = {"type": "output_text", "text": answer, "annotations": []}
    items: list[dict[str, Any]] = [
        {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [content]}
    ]
    if options.get("tool"):
        call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "get_weather"}
        items = [{**call, "arguments": TOOL_ARGUMENTS, "status": "completed"}]
    if options.get("refusal"):
        items[0]["content"] = [{"type": "refusal", "refusal": "I cannot help with that."}]
    running = sent.get("background") or status == "in_progress"
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1763900000,
        "status": "queued" if sent.get("background") else status,
        "model": "gpt-5-mini-2026-08-01",
        "output": [] if running else items,
        "usage": None if running else RESPONSES_USAGE,
        "error": None,
        "incomplete_details": None,
        "instructions": sent.get("instructions"),
        "metadata": {},
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "service_tier": "default",
    }


def response_events(sent: dict[str, Any], answer: str, options: dict[str, Any]) -> list[dict[str, Any]]:
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    full = response(sent, answer if not options.get("chunks") else "".join(pieces(answer, options)), options)
    made: list[dict[str, Any]] = [
        {"type": kind, "response": response(sent, answer, options, "in_progress")}
        for kind in ("response.created", "response.in_progress")
    ]
    item = {**full["output"][0], "status": "in_progress"}
    if options.get("tool"):
        made.append({"type": "response.output_item.added", "output_index": 0, "item": {**item, "arguments": ""}})
        delta = {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 0}
        made += [{**delta, "delta": part} for part in (TOOL_ARGUMENTS[:9], TOOL_ARGUMENTS[9:])]
    else:
        made.append({"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}})
        part = {"type": "output_text", "text": "", "annotations": []}
        made.append({"type": "response.content_part.added", **at, "part": part})
        delta = {"type": "response.output_text.delta", **at, "logprobs": []}
        made += [{**delta, "delta": piece} for piece in pieces(answer, options)]
    made.append({"type": "response.output_item.done", "output_index": 0, "item": full["output"][0]})
    made.append({"type": "response.completed", "response": full})
    return [{**event, "sequence_number": number} for number, event in enumerate(made)]


def message(sent: dict[str, Any], answer: str, options: dict[str, Any]) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": answer, "citations": None}]
    if options.get("tool"):
        content = [{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": json.loads(TOOL_ARGUMENTS)}]
    if options.get("thinking"):
        content.insert(0, {"type": "thinking", "thinking": "Prices first.", "signature": "sig"})
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5",
        "content": content,
        "stop_reason": "tool_use" if options.get("tool") else "refusal" if options.get("refusal") else "end_turn",
        "stop_sequence": None,
        "usage": MESSAGE_USAGE,
    }


def message_events(sent: dict[str, Any], answer: str, options: dict[str, Any]) -> list[dict[str, Any]]:
    full = message(sent, answer, options)
    begun = {**full, "content": [], "stop_reason": None, "usage": {**MESSAGE_USAGE, "output_tokens": 1}}
    made: list[dict[str, Any]] = [{"type": "message_start", "message": begun}, {"type": "ping"}]
    for index, block in enumerate(full["content"]):
        at = {"index": index}
        if block["type"] == "tool_use":
            deltas = [
                {"type": "input_json_delta", "partial_json": part} for part in (TOOL_ARGUMENTS[:9], TOOL_ARGUMENTS[9:])
            ]
            start: dict[str, Any] = {**block, "input": {}}
        elif block["type"] == "thinking":
            deltas = [{"type": "thinking_delta", "thinking": part} for part in ("Prices ", "first.")]
            start = {**block, "thinking": "", "signature": ""}
        else:
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces(answer, options)]
            start = {**block, "text": ""}
        made.append({"type": "content_block_start", **at, "content_block": start})
        made += [{"type": "content_block_delta", **at, "delta": delta} for delta in deltas]
        made.append({"type": "content_block_stop", **at})
    ending = {"stop_reason": full["stop_reason"], "stop_sequence": None}
    made.append({"type": "message_delta", "delta": ending, "usage": {"output_tokens": 567}})
    return [*made, {"type": "message_stop"}]


BATCH = {
    "id": "msgbatch_1",
    "type": "message_batch",
    "processing_status": "in_progress",
    "request_counts": {"processing": 1, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0},
    "created_at": "2026-11-23T00:00:00Z",
    "expires_at": "2026-11-24T00:00:00Z",
    "ended_at": None,
    "archived_at": None,
    "cancel_initiated_at": None,
    "results_url": None,
}


def _piece(name: str | None, arguments: str, id_: str | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"index": 0, "function": {"arguments": arguments}}
    return {**made, "id": id_, "type": "function", "function": {"name": name, "arguments": arguments}} if name else made


def _json(value: Any) -> bytes:
    text: str = json.dumps(value, separators=(",", ":"))
    return text.encode()


def _data(value: Any) -> bytes:
    return b"data: " + _json(value) + b"\n\n"


def _named(event: dict[str, Any]) -> bytes:
    return b"event: " + str(event["type"]).encode() + b"\n" + _data(event)
