"""OpenLLMetry (traceloop) and older GenAI conventions: `traceloop.*`, `gen_ai.prompt.0.content`, the old token names."""

from __future__ import annotations

from typing import Any

from ...instrument import semconv
from .attributes import SpanAttributes, as_json, parsed
from .messages import messages
from .vocabulary import OPERATIONS, put_content, put_messages, put_name

_PROPERTIES = "traceloop.association.properties."
_SESSION = ("session_id", "conversation_id", "thread_id", "chat_id")
_RENAMED = {
    "gen_ai.usage.prompt_tokens": semconv.INPUT_TOKENS,
    "gen_ai.usage.completion_tokens": semconv.OUTPUT_TOKENS,
    "gen_ai.usage.reasoning_tokens": semconv.REASONING_TOKENS,
    "gen_ai.usage.cache_read_input_tokens": semconv.CACHED_TOKENS,
    "gen_ai.usage.cache_creation_input_tokens": semconv.CACHE_WRITE_TOKENS,
    "gen_ai.usage.cache_creation.input_tokens": semconv.CACHE_WRITE_TOKENS,
}

# LiteLLM's proxy says which of its functions was called, or of its asynchronous ones.
_LITELLM = {
    "completion": semconv.OPERATION_CHAT,
    "responses": semconv.OPERATION_CHAT,
    "anthropic_messages": semconv.OPERATION_CHAT,
    "generate_content": semconv.OPERATION_GENERATE,
    "generate_content_stream": semconv.OPERATION_GENERATE,
    "text_completion": semconv.OPERATION_COMPLETION,
    "embedding": semconv.OPERATION_EMBEDDINGS,
    "moderation": semconv.OPERATION_MODERATE,
}


def rewrite(span: SpanAttributes) -> None:
    """Rename what OpenLLMetry or an instrumentor of the old conventions wrote."""
    for old, new in _RENAMED.items():
        if old in span:
            span.put_count(new, span.take(old))
    kind = str(span.take("traceloop.span.kind", "llm.request.type") or "").lower()
    found = OPERATIONS.get(kind, "")
    if span.scope == "litellm":
        found = _LITELLM.get(kind) or _LITELLM.get(kind.removeprefix("a"), "")
        span.put(semconv.REPORTED_COST_USD, span.take("gen_ai.cost.total_cost"))
    operation = str(span.get(semconv.OPERATION) or found)
    span.put(semconv.OPERATION, operation)
    _provider(span)
    inputs = [_message(row, "user") for row in span.numbered("gen_ai.prompt")]
    outputs = [_message(row, "assistant") for row in span.numbered("gen_ai.completion")]
    put_messages(span, inputs, outputs)
    name = span.take("traceloop.entity.name")
    put_name(span, operation, name)
    put_content(span, operation, span.take("traceloop.entity.input"), span.take("traceloop.entity.output"))
    span.rename("traceloop.prompt.key", semconv.PROMPT_NAME)
    version = span.take("traceloop.prompt.version")
    span.put(semconv.PROMPT_VERSION, None if version is None else as_json(version))
    _properties(span)


def _provider(span: SpanAttributes) -> None:
    """One lower-case provider; the old attribute's spelling varied."""
    old = span.get("gen_ai.system")
    if isinstance(old, str):
        span.put(semconv.PROVIDER, old.lower())


def _properties(span: SpanAttributes) -> None:
    tags: dict[str, Any] = {}
    for key in list(span.keys()):
        if key.startswith(_PROPERTIES):
            name = key.removeprefix(_PROPERTIES)
            value = span.take(key)
            if name in _SESSION:
                span.put(semconv.CONVERSATION_ID, as_json(value))
            elif name == "user_id":
                span.put(semconv.USER_ID, as_json(value))
            else:
                tags[name] = value
    span.tags(tags)


def _message(row: dict[str, Any], role: str) -> dict[str, Any]:
    calls: dict[str, dict[str, Any]] = {}
    for key, value in row.items():
        if key.startswith("tool_calls."):
            _, index, field = key.split(".", 2)
            calls.setdefault(index, {})[field] = value
    flat = {
        "role": row.get("role") or role,
        "content": row.get("content"),
        "tool_call_id": row.get("tool_call_id"),
        "tool_calls": [calls[index] for index in sorted(calls)],
        "finish_reason": row.get("finish_reason"),
    }
    content = row.get("content")
    if isinstance(content, str) and content.startswith("[{"):
        flat["content"] = parsed(content)  # content blocks that were written as text
    return messages(flat)[0]
