"""The Vercel AI SDK: 4 to 6 write `ai.operationId` and everything under `ai.`, 7 the conventions and what they lack under `ai.`"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ...instrument import semconv
from .attributes import SpanAttributes, as_json, parsed
from .messages import messages, request_messages
from .vocabulary import MODEL_OPERATIONS, add_cached_tokens, put_messages, put_name

if TYPE_CHECKING:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

SCOPES = ("ai", "gen_ai")
_METADATA, _SETTINGS = "ai.telemetry.metadata.", "ai.settings.context."
_SESSION = ("sessionId", "session_id", "conversationId", "threadId", "chatId")
_USER = ("userId", "user_id")
_MAKERS = ("anthropic", "bedrock", "openai", "azure", "google")
_TOLD = {
    semconv.CACHED_TOKENS: ("cacheReadInputTokens", "cache_read_input_tokens", "cachedPromptTokens"),
    semconv.CACHE_WRITE_TOKENS: ("cacheCreationInputTokens", "cache_creation_input_tokens", "cacheWriteInputTokens"),
    semconv.REASONING_TOKENS: ("reasoningTokens",),
}
# Whose totals of the input leave out what was cached.
_EXCLUSIVE = re.compile("anthropic|bedrock")
_OF_A_RUN = frozenset({semconv.CONVERSATION_ID, semconv.USER_ID})
_MAX_STEPS = 100  # upwards from a span to the run around it
_OUTER = frozenset({"ai.generateText", "ai.streamText", "ai.generateObject", "ai.streamObject"})
_COUNTS = {
    semconv.INPUT_TOKENS: ("ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens"),
    semconv.OUTPUT_TOKENS: ("ai.usage.outputTokens", "ai.usage.completionTokens"),
    semconv.CACHED_TOKENS: ("ai.usage.cachedInputTokens", "ai.usage.inputTokenDetails.cacheReadTokens"),
    semconv.CACHE_WRITE_TOKENS: ("ai.usage.inputTokenDetails.cacheWriteTokens",),
    semconv.REASONING_TOKENS: ("ai.usage.reasoningTokens", "ai.usage.outputTokenDetails.reasoningTokens"),
}


def rewrite(span: SpanAttributes) -> None:
    """Rename what the AI SDK wrote."""
    take = span.take
    operation_id = str(take("ai.operationId") or "")
    operation = _operation(operation_id)
    span.put(semconv.OPERATION, operation)
    provider = span.get("gen_ai.system") or take("ai.model.provider")
    span.put(semconv.PROVIDER, provider)
    model = take("ai.model.id")
    span.put(semconv.REQUEST_MODEL, model)
    span.put(semconv.RESPONSE_MODEL, take("ai.response.model"))
    span.put(semconv.RESPONSE_ID, take("ai.response.id"))
    _usage(span, operation_id, str(provider or ""))
    if operation == semconv.OPERATION_TOOL:
        span.put(semconv.TOOL_NAME, take("ai.toolCall.name"))
        span.put(semconv.TOOL_CALL_ID, take("ai.toolCall.id"))
        span.put(semconv.TOOL_ARGUMENTS, _text(take("ai.toolCall.args", "ai.toolCall.input")))
        span.put(semconv.TOOL_RESULT, _text(take("ai.toolCall.result", "ai.toolCall.output")))
    else:
        _content(span, operation)
    if operation == semconv.OPERATION_AGENT:
        put_name(span, operation, span.get("ai.telemetry.functionId") or operation_id)
    reason = take("ai.response.finishReason", "ai.finishReason")
    span.put(semconv.FINISH_REASONS, [str(reason)] if reason else None)
    waited = take("ai.response.msToFirstChunk")
    if isinstance(waited, int | float):
        span.put(semconv.TIME_TO_FIRST_CHUNK, max(waited / 1e3, 0.0))
    _context(span, _METADATA)


def _usage(span: SpanAttributes, operation_id: str, provider: str) -> None:
    """Token counts. What versions 4 and 5 tell of a cache stands in the provider's own words; 6 has details of its own."""
    said: Any = parsed(span.get("ai.response.providerMetadata"))
    makers = [said.get(maker) for maker in _MAKERS] if isinstance(said, dict) else []
    told = {name: count for one in makers if isinstance(one, dict) for name, count in _flat(one)}
    leaves_out = _leaves_out_cached(span, operation_id, provider, told)
    for target, names in _COUNTS.items():
        span.put_count(target, span.take(*names))
    for target, names in _TOLD.items():
        span.put_count(target, next((told[name] for name in names if told.get(name) is not None), None))
    if leaves_out:
        add_cached_tokens(span)


def _leaves_out_cached(span: SpanAttributes, operation_id: str, provider: str, told: dict[str, Any]) -> bool:
    """Whether the total of the input is without what was cached: in 4 and 5, as Anthropic and Bedrock count."""
    if "ai.usage.inputTokenDetails.noCacheTokens" in span or not _EXCLUSIVE.search(provider):
        return False
    if (raw := told.get("input_tokens")) is not None:  # Anthropic's own count
        return any(span.get(name) == raw for name in (semconv.INPUT_TOKENS, *_COUNTS[semconv.INPUT_TOKENS]))
    # Spans of objects have no details in later versions, either; there their names are new.
    return "Object" not in operation_id or "ai.usage.inputTokens" not in span


def _flat(told: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in told.items():
        yield from value.items() if isinstance(value, dict) else [(name, value)]


def complete(span: SpanAttributes) -> None:
    """Rename what version 7 writes beside the conventions, where the app switched it on."""
    details = span.take("ai.usage.outputTokenDetails.reasoningTokens")
    if span.get(semconv.OPERATION) in MODEL_OPERATIONS:
        span.put_count(semconv.REASONING_TOKENS, details)
    if span.get(semconv.OPERATION) == semconv.OPERATION_EMBEDDINGS:
        _content(span, semconv.OPERATION_EMBEDDINGS)
    _context(span, _SETTINGS)


def inherit(spans: Sequence[Span]) -> bool:
    """Gives spans the conversation and user of the run around them, which alone says it; whether any."""
    own = {(span.trace_id, span.span_id): (span.parent_span_id, _said(span)) for span in spans}
    changed = False
    if not any(said for _, said in own.values()):
        return False
    for span in spans:
        place, steps = span.parent_span_id, 0
        missing = _OF_A_RUN - own[span.trace_id, span.span_id][1].keys()
        while missing and (span.trace_id, place) in own and steps < _MAX_STEPS:
            place, said = own[span.trace_id, place]
            steps += 1
            for name in missing & said.keys():
                span.attributes.add(key=name).value.string_value = said[name]
                changed = True
            missing -= said.keys()
    return changed


def _said(span: Span) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in span.attributes if pair.key in _OF_A_RUN}


def _operation(operation_id: str) -> str:
    if operation_id.endswith(".doEmbed"):
        return semconv.OPERATION_EMBEDDINGS
    if operation_id.endswith((".doGenerate", ".doStream")):
        return semconv.OPERATION_CHAT
    if operation_id == "ai.toolCall":
        return semconv.OPERATION_TOOL
    return semconv.OPERATION_AGENT if operation_id in _OUTER else semconv.OPERATION_WORKFLOW


def _content(span: SpanAttributes, operation: str) -> None:
    take = span.take
    sent, whole = parsed(take("ai.prompt.messages")), parsed(take("ai.prompt"))
    values = take("ai.values", "ai.value")
    inputs = messages(sent) if sent else request_messages(whole) if isinstance(whole, dict) else messages(whole)
    if values is not None:
        inputs = messages([str(parsed(one)) for one in (values if isinstance(values, list) else [values])])
    parts: list[dict[str, Any]] = []
    if reasoning := take("ai.response.reasoning"):
        parts.append({"type": "reasoning", "text": str(reasoning)})
    text = take("ai.response.text", "ai.result.text")
    structured = take("ai.response.object", "ai.result.object")
    parts += [{"type": "text", "text": as_json(said)} for said in (text, structured) if said]
    calls = parsed(take("ai.response.toolCalls", "ai.result.toolCalls"))
    listed_calls = calls if isinstance(calls, list) else []
    parts += [{**call, "type": "tool-call"} for call in listed_calls if isinstance(call, dict)]
    take("ai.embedding", "ai.embeddings")  # vectors are no message
    outputs = messages({"role": "assistant", "content": parts}) if parts else []
    put_messages(span, inputs, [] if operation == semconv.OPERATION_EMBEDDINGS else outputs)
    tools = take("ai.prompt.tools")
    if tools:
        listed = tools if isinstance(tools, list) else [tools]
        span.put(semconv.TOOL_DEFINITIONS, as_json([parsed(one) for one in listed]))


def _context(span: SpanAttributes, prefix: str) -> None:
    tags: dict[str, Any] = {}
    for key in list(span.keys()):
        if key.startswith(prefix):
            name, value = key.removeprefix(prefix), span.take(key)
            if name in _SESSION:
                span.put(semconv.CONVERSATION_ID, as_json(value))
            elif name in _USER:
                span.put(semconv.USER_ID, as_json(value))
            else:
                tags[name] = value
    span.tags(tags)


def _text(value: Any) -> Any:
    """What was written as JSON text of a text is that text."""
    if value is None:
        return None
    inner = parsed(value)
    return inner if isinstance(inner, str) else as_json(value)
