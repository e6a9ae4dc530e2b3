"""OpenInference (Phoenix, Arize and the frameworks that follow it): flattened `llm.*` lists and `openinference.span.kind`."""

from __future__ import annotations

import ast
from typing import Any

from ...instrument import semconv
from .attributes import SpanAttributes, as_json, parsed
from .messages import messages
from .vocabulary import (
    MODEL_OPERATIONS,
    OPERATIONS,
    check_total,
    put_content,
    put_cost,
    put_messages,
    put_name,
    put_parameters,
)


def rewrite(span: SpanAttributes) -> None:
    """Rename what OpenInference wrote."""
    operation = OPERATIONS.get(str(span.take("openinference.span.kind") or "").lower(), "")
    span.put(semconv.OPERATION, operation)
    provider = span.take("llm.provider", "llm.system")
    span.put(semconv.PROVIDER, str(provider).lower() if provider else None)
    response_model = span.take(
        "llm.response.model_name", "llm.model_name", "embedding.model_name", "reranker.model_name"
    )
    span.put(semconv.RESPONSE_MODEL, response_model)
    span.put(semconv.REQUEST_MODEL, span.take("llm.request.model_name"))
    put_parameters(span, span.take("llm.invocation_parameters", "embedding.invocation_parameters"))
    span.put(semconv.REQUEST_MODEL, response_model)
    _usage(span)
    inputs = [_message(row) for row in span.numbered("llm.input_messages")]
    outputs = [_message(row) for row in span.numbered("llm.output_messages")]
    put_messages(span, inputs, outputs)
    _documents(span)
    put_name(span, operation, span.get("tool.name") or span.get("agent.name"))
    if operation == semconv.OPERATION_TOOL:
        span.take("tool.name")
    reason = span.take("llm.finish_reason")
    span.put(semconv.FINISH_REASONS, [str(reason)] if reason else None)
    texts = [row.pop("embedding.text", None) for row in span.numbered("embedding.embeddings")]  # vectors are no message
    given = span.take("input.value") or [text for text in texts if text] or None
    got = _end_of_stream(span.take("output.value"))
    span.take("input.mime_type", "output.mime_type")
    put_content(span, operation, given, got)
    tools = [parsed(row.get("tool.json_schema")) for row in span.numbered("llm.tools")]
    span.put(semconv.TOOL_DEFINITIONS, as_json(tools) if tools else None)
    _context(span, operation)


def _end_of_stream(got: Any) -> Any:
    """What a streamed run of smolagents ended with: its output is the `repr` of every piece of the stream, joined."""
    if not isinstance(got, str) or not got.endswith(")"):
        return got
    pieces, mark, last = got.rpartition("FinalAnswerStep(output=")
    if not mark or not pieces.endswith(")"):
        return got
    try:
        return ast.literal_eval(last[:-1])
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _usage(span: SpanAttributes) -> None:
    counts = {
        "prompt": semconv.INPUT_TOKENS,
        "completion": semconv.OUTPUT_TOKENS,
        "prompt_details.cache_read": semconv.CACHED_TOKENS,
        "prompt_details.cache_write": semconv.CACHE_WRITE_TOKENS,
        "completion_details.reasoning": semconv.REASONING_TOKENS,
    }
    for name, target in counts.items():
        span.put_count(target, span.take(f"llm.token_count.{name}"))
    check_total(span, span.take("llm.token_count.total"))
    put_cost(span, span.take("llm.cost.total"))


def _message(row: dict[str, Any]) -> dict[str, Any]:
    """One message from its flattened fields."""
    role = str(row.get("message.role") or "user")
    if role == "tool":
        flat = {"role": role, "tool_call_id": row.get("message.tool_call_id"), "content": row.get("message.content")}
        return messages(flat)[0]
    content = row.get("message.content")
    pieces = _grouped(row, "message.contents.")
    texts = [str(piece["message_content.text"]) for piece in pieces if piece.get("message_content.text")]
    blocks: list[dict[str, Any]] = []
    if content and content not in texts and content not in ("".join(texts), "\n".join(texts)):
        blocks.append({"type": "text", "text": content})
    for piece in pieces:
        kind = str(piece.get("message_content.type") or "text")
        if piece.get("message_content.text"):
            is_thought = kind in ("reasoning", "thinking")
            blocks.append({"type": "reasoning" if is_thought else "text", "text": piece["message_content.text"]})
        elif kind in ("image", "input_image"):
            blocks.append({"type": "image", "image_url": piece.get("message_content.image.image.url")})
    calls = [
        {
            "id": call.get("tool_call.id"),
            "name": call.get("tool_call.function.name"),
            "arguments": call.get("tool_call.function.arguments"),
        }
        for call in _grouped(row, "message.tool_calls.")
    ]
    return messages({"role": role, "content": blocks, "tool_calls": calls})[0]


def _grouped(row: dict[str, Any], prefix: str) -> list[dict[str, Any]]:
    groups: dict[int, dict[str, Any]] = {}
    for key, value in row.items():
        if key.startswith(prefix):
            index, _, rest = key[len(prefix) :].partition(".")
            if index.isdigit():
                groups.setdefault(int(index), {})[rest] = value
    return [groups[index] for index in sorted(groups)]


def _documents(span: SpanAttributes) -> None:
    found = [
        {key.removeprefix("document."): parsed(value) for key, value in row.items()}
        for row in span.numbered("retrieval.documents")
    ]
    span.put(semconv.RETRIEVAL_DOCUMENTS, as_json(found) if found else None)


def _context(span: SpanAttributes, operation: str) -> None:
    span.put(semconv.CONVERSATION_ID, span.take("session.id"))
    span.tags(parsed(span.take("metadata")))
    span.tags(span.take("tag.tags"))
    name, version = span.take("prompt.id"), span.take("llm.prompt_template.version")
    span.put(semconv.PROMPT_NAME, name)
    span.put(semconv.PROMPT_VERSION, version)
    if operation in MODEL_OPERATIONS:
        for event in span.span.events:
            if event.name == "First Token Stream Event":
                waited = (event.time_unix_nano - span.span.start_time_unix_nano) / 1e9
                span.put(semconv.TIME_TO_FIRST_CHUNK, max(waited, 0.0))
                break
