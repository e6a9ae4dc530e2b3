"""Google's Genkit (JavaScript, Python, Go): `genkit:` attributes with whole requests and answers as JSON, no conventions."""

from __future__ import annotations

from typing import Any

from ...instrument import semconv
from .attributes import STATUS_ERROR, SpanAttributes, as_json, parsed
from .providers import canonical
from .vocabulary import check_total, put_content, put_messages, put_name, put_parameters

SCOPE = "genkit-tracer"
_PREFIX = "genkit:"
_OPERATIONS = {
    "model": semconv.OPERATION_CHAT,
    "background-model": semconv.OPERATION_CHAT,
    "embedder": semconv.OPERATION_EMBEDDINGS,
    "tool": semconv.OPERATION_TOOL,
    "tool.v2": semconv.OPERATION_TOOL,
    "retriever": semconv.OPERATION_RETRIEVAL,
    "agent": semconv.OPERATION_AGENT,
    "flow": semconv.OPERATION_WORKFLOW,
}
_PROVIDERS = {"googleai": "gcp.gemini", "vertexai": "gcp.vertex_ai", "vertex-model-garden": "gcp.vertex_ai"}


def rewrite(span: SpanAttributes) -> None:
    """Rename what Genkit wrote."""
    kind = str(span.take(_PREFIX + "metadata:subtype") or "")
    operation = _OPERATIONS.get(kind, "")
    name, state = span.take(_PREFIX + "name"), span.take(_PREFIX + "state")
    given, got = parsed(span.take(_PREFIX + "input")), parsed(span.take(_PREFIX + "output"))
    span.put(semconv.OPERATION, operation)
    if state == "error" and span.span.status.code != STATUS_ERROR:
        span.span.status.code = STATUS_ERROR  # type: ignore[assignment]  # the stub wants the enum's own type
    if operation == semconv.OPERATION_CHAT:
        _model(span, str(name or ""), given, got)
    elif operation == semconv.OPERATION_EMBEDDINGS:
        _names(span, str(name or ""))
        put_messages(span, _messages([{"role": "user", "content": _documents(given)}]), [])
    else:
        put_name(span, operation, name)
        put_content(span, operation, given, got)
    span.put(semconv.CONVERSATION_ID, span.take(_PREFIX + "metadata:agent:sessionId", _PREFIX + "sessionId"))


def _names(span: SpanAttributes, name: str) -> None:
    """A model is named behind its plugin: googleai/gemini-2.5-flash."""
    plugin, slash, model = name.partition("/")
    if slash:
        span.put(semconv.PROVIDER, _PROVIDERS.get(plugin) or canonical(plugin))
    span.put(semconv.REQUEST_MODEL, model if slash else name)


def _model(span: SpanAttributes, name: str, given: Any, got: Any) -> None:
    _names(span, name)
    request: dict[str, Any] = given if isinstance(given, dict) else {}
    answer: dict[str, Any] = got if isinstance(got, dict) else {}
    put_parameters(span, request.get("config"))
    said = answer.get("message")
    if said is None and isinstance(candidates := answer.get("candidates"), list) and candidates:
        said = candidates[0].get("message") if isinstance(candidates[0], dict) else None
    outputs = _messages([said] if isinstance(said, dict) else [])
    if outputs and (reason := answer.get("finishReason")):
        outputs = [{**one, "finish_reason": str(reason)} for one in outputs]
    put_messages(span, _messages(request.get("messages")), outputs)
    _usage(span, answer.get("usage"))


def _usage(span: SpanAttributes, usage: Any) -> None:
    if not isinstance(usage, dict):
        return
    sent, got, thought = usage.get("inputTokens"), usage.get("outputTokens"), usage.get("thoughtsTokens")
    total = usage.get("totalTokens")
    if isinstance(sent, int) and isinstance(got, int) and isinstance(thought, int) and total == sent + got + thought:
        got += thought  # the total proves that what was thought is not in the answer's tokens
    span.put_count(semconv.INPUT_TOKENS, sent)
    span.put_count(semconv.OUTPUT_TOKENS, got)
    span.put_count(semconv.REASONING_TOKENS, thought)
    span.put_count(semconv.CACHED_TOKENS, usage.get("cachedContentTokens"))
    check_total(span, total)


def _documents(given: Any) -> list[Any]:
    documents = given.get("input") if isinstance(given, dict) else None
    return [part for one in documents or () if isinstance(one, dict) for part in one.get("content") or ()]


def _messages(found: Any) -> list[dict[str, Any]]:
    told = []
    for message in found if isinstance(found, list) else ():
        if isinstance(message, dict):
            role = {"model": "assistant"}.get(str(message.get("role")), str(message.get("role") or "user"))
            content = message.get("content")
            told.append(
                {"role": role, "parts": [_part(one) for one in content if one]} if isinstance(content, list) else {}
            )
    return [one for one in told if one]


def _part(part: Any) -> dict[str, Any]:
    if not isinstance(part, dict):
        return {"type": "text", "content": as_json(part)}
    if isinstance(call := part.get("toolRequest"), dict):
        return {"type": "tool_call", "id": call.get("ref"), "name": call.get("name"), "arguments": call.get("input")}
    if isinstance(told := part.get("toolResponse"), dict):
        return {"type": "tool_call_response", "id": told.get("ref"), "response": told.get("output")}
    if isinstance(media := part.get("media"), dict):
        url = str(media.get("url") or "")
        held = "inline" if url.startswith("data:") else url
        return {"type": "uri", "uri": held, "mime_type": media.get("contentType")}
    if isinstance(part.get("reasoning"), str):
        return {"type": "reasoning", "content": part["reasoning"]}
    return {"type": "text", "content": as_json(part.get("text", part))}
