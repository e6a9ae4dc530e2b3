"""Generated answers of the APIs, and many ways in which servers stream each: for the property that both give one span."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Draw = Callable[..., Any]
JSON = dict[str, Any]

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)
NAMES = st.sampled_from(["get_weather", "get_time", "search"])
ARGUMENTS = st.dictionaries(st.sampled_from(["city", "tz", "days"]), st.one_of(TEXT, st.integers(0, 9)), max_size=2)
CHAT_USAGE = st.sampled_from(
    [
        {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
        {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18, "cost": 0.0125},
        {
            "prompt_tokens": 1234,
            "completion_tokens": 567,
            "total_tokens": 1801,
            "prompt_tokens_details": {"cached_tokens": 321, "audio_tokens": 12},
            "completion_tokens_details": {"reasoning_tokens": 89, "audio_tokens": 3},
        },
    ]
)
WEB = {
    "type": "url_citation",
    "url_citation": {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 1},
}
IMAGE = {"type": "image_url", "image_url": {"url": "https://images.example/cat.png"}}


def pieces(draw: Draw, text: str) -> list[str]:
    """The text in pieces, at least one."""
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=4)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def sse(events: list[Any], *, named: bool = False) -> bytes:
    """Server-sent events."""
    made = ""
    for event in events:
        head = f"event: {event['type']}\n" if named else ""
        made += f"{head}data: {event if isinstance(event, str) else json.dumps(event)}\n\n"
    return made.encode()


# Chat completions

EVERY_CHUNK: list[JSON] = [
    {},
    {"role": "assistant"},
    {"role": "assistant", "refusal": None, "tool_calls": None, "function_call": None, "reasoning_content": None},
    {"content": None, "audio": None, "annotations": None, "images": None},
    {"content": "", "reasoning": None},
]


@st.composite
def chat_messages(draw: Draw) -> JSON:
    """What one choice says: any mixture of what the API and those who speak it send."""
    message: JSON = {"role": "assistant", "content": draw(st.none() | TEXT)}
    for name in draw(st.sets(st.sampled_from(["refusal", "reasoning_content", "reasoning"]), max_size=2)):
        message[name] = draw(TEXT)
    calls = draw(st.lists(st.tuples(NAMES, ARGUMENTS), max_size=3))
    if calls:
        message["tool_calls"] = [
            {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for n, (name, arguments) in enumerate(calls)
        ]
    if draw(st.booleans()):
        message["function_call"] = {"name": draw(NAMES), "arguments": json.dumps(draw(ARGUMENTS))}
    if draw(st.booleans()):
        message["annotations"] = [WEB]
    if draw(st.booleans()):
        message["images"] = [IMAGE]
    if draw(st.booleans()):
        message["audio"] = {"id": "audio_1", "data": "UklGRgECAw==", "transcript": draw(TEXT), "expires_at": 1}
    return message


def call_deltas(draw: Draw, calls: list[JSON]) -> list[JSON]:
    """Tool calls in pieces, numbered as servers do it."""
    style = draw(st.sampled_from(["index", "index", "shared", "null", "absent", "repeated", "whole"]))
    made = []
    for n, call in enumerate(calls):
        index = {"index": n, "repeated": n, "shared": 0, "whole": n, "null": None}.get(style, n)
        at = {} if style == "absent" else {"index": index}
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        parts = [arguments] if style == "whole" else pieces(draw, arguments)
        for place, piece in enumerate(parts):
            delta: JSON = {**at, "function": {"arguments": piece}}
            if place == 0 or style == "repeated":
                delta |= {"id": call["id"], "type": "function"}
                delta["function"]["name"] = name
            made.append({"tool_calls": [delta]})
    return made


def chat_deltas(draw: Draw, message: JSON) -> list[JSON]:
    """One message in pieces."""
    made: list[JSON] = [{"role": "assistant", "content": draw(st.sampled_from(["", None]))}]
    for name in ("reasoning_content", "reasoning", "content", "refusal"):
        if message.get(name):
            made += [{name: piece} for piece in pieces(draw, message[name])]
    made += call_deltas(draw, message.get("tool_calls", []))
    if (function := message.get("function_call")) is not None:
        first, *rest = pieces(draw, function["arguments"])
        made.append({"function_call": {"name": function["name"], "arguments": first}})
        made += [{"function_call": {"arguments": piece}} for piece in rest]
    if (audio := message.get("audio")) is not None:
        # Each piece of sound is encoded by itself.
        made += [{"audio": {"id": "audio_1", "data": "UklGRg=="}}, {"audio": {"data": "AQID"}}]
        made += [{"audio": {"transcript": piece}} for piece in pieces(draw, audio["transcript"])]
        made.append({"audio": {"expires_at": 1}})
    made += [{name: message[name]} for name in ("annotations", "images") if name in message]
    return made


@st.composite
def chats(draw: Draw) -> tuple[JSON, list[Any]]:
    """A completion, and the chunks of the same."""
    identity = {"id": "chatcmpl-1", "model": "gpt-4o-2024-08-06"}
    extra = draw(
        st.sampled_from([{}, {"service_tier": "priority"}, {"service_tier": "default", "system_fingerprint": "fp_1"}])
    )
    messages = draw(st.lists(chat_messages(), min_size=1, max_size=2))
    reasons = [draw(st.sampled_from(["stop", "length", "tool_calls", "content_filter"])) for _ in messages]
    used = draw(st.none() | CHAT_USAGE)
    whole = {"object": "chat.completion", "created": 1, **identity, **extra, "usage": used}
    whole["choices"] = [
        {"index": n, "message": message, "finish_reason": reason}
        for n, (message, reason) in enumerate(zip(messages, reasons, strict=True))
    ]
    head = {"object": "chat.completion.chunk", "created": 1, **identity}
    opening = draw(
        st.sampled_from(
            [[], [{**head, "id": "", "model": "", "choices": []}], [{**head, "id": None, "model": None, "choices": []}]]
        )
    )
    chunks = [*opening]
    # Many servers repeat the role, or send every field, in each chunk.
    every = draw(st.sampled_from(EVERY_CHUNK))
    queues = [
        [{"index": n, "delta": {**every, **delta}, "finish_reason": None} for delta in chat_deltas(draw, message)]
        for n, message in enumerate(messages)
    ]
    while any(queues):
        queue = draw(st.sampled_from([queue for queue in queues if queue]))
        chunks.append({**head, "choices": [queue.pop(0)]})
    for n, reason in enumerate(reasons):
        end: JSON = {"index": n, "finish_reason": reason}
        chunks.append({**head, "choices": [{**end, **draw(st.sampled_from([{"delta": {}}, {"delta": None}, {}]))}]})
    at = draw(st.integers(0, len(chunks) - 1))
    chunks[at] = {**chunks[at], **extra}
    if used is not None:
        if draw(st.booleans()):
            chunks.append({**head, "choices": draw(st.sampled_from([[], None])), "usage": used})
        else:
            chunks[-1] = {**chunks[-1], "usage": used}
    return whole, [*chunks, "[DONE]"]


@st.composite
def completions(draw: Draw) -> tuple[JSON, list[Any]]:
    """A legacy completion, and the chunks of the same."""
    texts = draw(st.lists(TEXT, min_size=1, max_size=2))
    used = draw(st.none() | CHAT_USAGE)
    whole = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "gpt-35-turbo-instruct", "usage": used}
    head = {**whole, "usage": None}
    whole["choices"] = [{"index": n, "text": text, "finish_reason": "stop"} for n, text in enumerate(texts)]
    chunks: list[Any] = draw(st.sampled_from([[], [{**head, "id": "", "model": "", "choices": []}]]))[:]
    for n, text in enumerate(texts):
        parts = [{"index": n, "text": piece, "finish_reason": None} for piece in pieces(draw, text)]
        parts[-1]["finish_reason"] = "stop"
        chunks += [{**head, "choices": [part]} for part in parts]
    if used is not None:
        chunks.append({**head, "choices": [], "usage": used})
    return whole, [*chunks, "[DONE]"]


# Responses

CITED = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 1}
RESPONSES_USAGE = {
    "input_tokens": 1000,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 500,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 1500,
}


@st.composite
def response_items(draw: Draw) -> JSON:
    """One item of a response's output."""
    kind = draw(
        st.sampled_from(["message", "refusal", "reasoning", "function_call", "custom_tool_call", "web_search_call"])
    )
    if kind == "message":
        cited = draw(st.sampled_from([[], [CITED]]))
        return {
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": draw(TEXT), "annotations": cited}],
        }
    if kind == "refusal":
        return {
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "refusal", "refusal": draw(TEXT)}],
        }
    if kind == "reasoning":
        return {
            "type": "reasoning",
            "summary": [
                {"type": "summary_text", "text": text} for text in draw(st.lists(TEXT, min_size=1, max_size=2))
            ],
        }
    if kind == "function_call":
        return {
            "type": kind,
            "call_id": "call_1",
            "name": draw(NAMES),
            "arguments": json.dumps(draw(ARGUMENTS)),
            "status": "completed",
        }
    if kind == "custom_tool_call":
        return {"type": kind, "call_id": "call_2", "name": draw(NAMES), "input": draw(TEXT)}
    return {"type": kind, "status": "completed", "action": {"type": "search", "query": "q"}}


def item_events(draw: Draw, place: int, item: JSON) -> list[JSON]:
    """The events that one item comes in; its end may be missing."""
    at = {"item_id": item["id"], "output_index": place}
    empty = {
        name: value
        for name, value in item.items()
        if name in ("type", "id", "role", "call_id", "name", "action", "status")
    }
    empty |= {"content": []} if item["type"] == "message" else {"summary": []} if item["type"] == "reasoning" else {}
    empty |= {"arguments": ""} if "arguments" in item else {"input": ""} if "input" in item else {}
    made = [{"type": "response.output_item.added", "output_index": place, "item": empty}]
    for part in item.get("content", ()):
        field = "refusal" if part["type"] == "refusal" else "text"
        kind = f"response.{'refusal' if field == 'refusal' else 'output_text'}.delta"
        made += [
            {"type": kind, **at, "content_index": 0, "delta": piece, "logprobs": []}
            for piece in pieces(draw, part[field])
        ]
        for n, annotation in enumerate(part.get("annotations", ())):
            made.append(
                {
                    "type": "response.output_text.annotation.added",
                    **at,
                    "content_index": 0,
                    "annotation_index": n,
                    "annotation": annotation,
                }
            )
    for n, part in enumerate(item.get("summary", ())):
        made += [
            {"type": "response.reasoning_summary_text.delta", **at, "summary_index": n, "delta": piece}
            for piece in pieces(draw, part["text"])
        ]
    for field, kind in (("arguments", "function_call_arguments"), ("input", "custom_tool_call_input")):
        if field in item:
            made += [{"type": f"response.{kind}.delta", **at, "delta": piece} for piece in pieces(draw, item[field])]
    if draw(st.booleans()):
        made.append({"type": "response.output_item.done", "output_index": place, "item": item})
    return made


@st.composite
def responses(draw: Draw) -> tuple[JSON, list[Any]]:
    """A response that succeeded, failed or is incomplete, and the events of the same."""
    items = [{**item, "id": f"item_{n}"} for n, item in enumerate(draw(st.lists(response_items(), max_size=3)))]
    status = draw(st.sampled_from(["completed", "completed", "failed", "incomplete"]))
    base: JSON = {
        "id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-5-2025-08-07", "parallel_tool_calls": True,
        "tool_choice": "auto", "tools": [], "metadata": {}, "instructions": None, "error": None, "incomplete_details": None,
    }  # fmt: skip
    ended = {**base, "status": status, "usage": draw(st.sampled_from([RESPONSES_USAGE, None]))}
    if status == "failed":
        ended["error"] = {"code": "server_error", "message": "bad"}
    if status == "incomplete":
        ended["incomplete_details"] = {"reason": draw(st.sampled_from(["max_output_tokens", "content_filter"]))}
    events: list[JSON] = [{"type": "response.created", "response": {**base, "status": "in_progress", "output": []}}]
    for place, item in enumerate(items):
        events += item_events(draw, place, item)
    # The event that ends a stream has the output, or has not.
    output = draw(st.sampled_from([items, []]))
    events.append({"type": f"response.{status}", "response": {**ended, "output": output}})
    return {**ended, "output": items}, [{**event, "sequence_number": n} for n, event in enumerate(events)]


# Claude's messages

LOCATED = {
    "type": "char_location",
    "cited_text": "a",
    "document_index": 0,
    "document_title": "D",
    "start_char_index": 0,
    "end_char_index": 1,
}
MESSAGE_USAGE = {
    "input_tokens": 868,
    "cache_read_input_tokens": 321,
    "cache_creation_input_tokens": 45,
    "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 40},
    "output_tokens": 567,
    "server_tool_use": {"web_search_requests": 2},
    "service_tier": "priority",
}


@st.composite
def content_blocks(draw: Draw) -> JSON:
    """One block of Claude's."""
    kind = draw(st.sampled_from(["text", "thinking", "tool_use", "server_tool_use", "web_search_tool_result"]))
    if kind == "text":
        return {"type": kind, "text": draw(TEXT), "citations": draw(st.sampled_from([None, [LOCATED]]))}
    if kind == "thinking":
        return {"type": kind, "thinking": draw(TEXT), "signature": "sig"}
    if kind == "web_search_tool_result":
        return {"type": kind, "tool_use_id": "srv_1", "content": []}
    return {"type": kind, "id": "toolu_1", "name": draw(NAMES), "input": draw(ARGUMENTS)}


def block_events(draw: Draw, place: int, block: JSON) -> list[JSON]:
    """The events that one block comes in."""
    kind = block["type"]
    start = {
        "text": {**block, "text": "", "citations": None},
        "thinking": {**block, "thinking": "", "signature": ""},
    }.get(kind, block)
    if kind in ("tool_use", "server_tool_use"):
        start = {**block, "input": {}}
    deltas: list[JSON] = []
    if kind == "text":
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces(draw, block["text"])]
        deltas += [{"type": "citations_delta", "citation": one} for one in block["citations"] or ()]
    elif kind == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(draw, block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": "sig"})
    elif kind in ("tool_use", "server_tool_use") and block["input"]:
        deltas = [
            {"type": "input_json_delta", "partial_json": piece} for piece in pieces(draw, json.dumps(block["input"]))
        ]
    return [
        {"type": "content_block_start", "index": place, "content_block": start},
        *({"type": "content_block_delta", "index": place, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": place},
    ]


@st.composite
def claude_messages(draw: Draw) -> tuple[JSON, list[Any]]:
    """A message of Claude's, and the events of the same."""
    blocks = draw(st.lists(content_blocks(), max_size=3))
    reason = draw(st.sampled_from(["end_turn", "max_tokens", "tool_use", "refusal"]))
    base = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-5", "stop_sequence": None}
    whole = {**base, "content": blocks, "stop_reason": reason, "usage": MESSAGE_USAGE}
    late = draw(st.sampled_from([{"output_tokens": 567}, MESSAGE_USAGE]))
    first = {**MESSAGE_USAGE, "output_tokens": 1}
    if "server_tool_use" in late:
        first = {"input_tokens": 868, "output_tokens": 1}
    events: list[JSON] = [
        {"type": "message_start", "message": {**base, "content": [], "stop_reason": None, "usage": first}}
    ]
    for place, block in enumerate(blocks):
        events += block_events(draw, place, block)
    events.append({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": late})
    return whole, [*events, {"type": "message_stop"}]
