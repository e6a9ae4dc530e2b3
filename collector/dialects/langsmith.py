"""LangSmith's OpenTelemetry export: `langsmith.span.kind`, its own words for operations, bodies as `gen_ai.prompt`."""

from __future__ import annotations

import ast
from typing import Any

from ...instrument import semconv
from ...queries.framework_messages import framework_messages
from .attributes import SpanAttributes, parsed
from .messages import messages
from .vocabulary import OPERATIONS, check_total, put_content, put_messages, put_name, put_parameters

_METADATA = "langsmith.metadata."
_SESSION = ("session_id", "thread_id", "conversation_id")
_OWN = ("ls_", "LANGSMITH_", "LANGCHAIN_", "usage_metadata", "revision_id", "langgraph_", "checkpoint_ns")


def rewrite(span: SpanAttributes) -> None:
    """Rename what LangSmith's client exported."""
    kind = str(span.take("langsmith.span.kind") or "").lower()
    operation = OPERATIONS.get(kind, "")
    if kind:
        # It calls retrievers embeddings, which would be calls of a model.
        span.replace(semconv.OPERATION, operation or None)
    metadata = {
        name.removeprefix(_METADATA): span.take(name) for name in list(span.keys()) if name.startswith(_METADATA)
    }
    if str(span.get("gen_ai.system")) == "langchain":
        span.take("gen_ai.system")  # that is no provider
    span.put(semconv.PROVIDER, metadata.get("ls_provider"))
    span.put(semconv.REQUEST_MODEL, metadata.get("ls_model_name"))
    put_parameters(span, metadata.get("ls_invocation_params"))
    if span.take("langsmith.request.streaming") is True:
        span.put(semconv.REQUEST_STREAM, True)
    _usage(span, parsed(metadata.get("usage_metadata")))
    put_name(span, operation, span.take("langsmith.trace.name"))
    _content(span, operation)
    session = next((metadata.pop(name) for name in _SESSION if metadata.get(name)), None)
    span.put(semconv.CONVERSATION_ID, None if session is None else str(session))
    span.put(semconv.USER_ID, metadata.pop("user_id", None))
    span.tags({name: value for name, value in metadata.items() if not name.startswith(_OWN)})
    labels = span.take("langsmith.span.tags")
    span.tags([one.strip() for one in labels.split(",") if one.strip()] if isinstance(labels, str) else labels)


def _usage(span: SpanAttributes, usage: Any) -> None:
    """Its totals include what was cached; the details are the `repr` of a dictionary, or stand in the metadata."""
    usage = usage if isinstance(usage, dict) else {}
    details = _mapping(span.take("gen_ai.usage.input_token_details")) or usage.get("input_token_details") or {}
    more = _mapping(span.take("gen_ai.usage.output_token_details")) or usage.get("output_token_details") or {}
    if isinstance(details, dict):
        span.put_count(semconv.CACHED_TOKENS, details.get("cache_read"))
        span.put_count(semconv.CACHE_WRITE_TOKENS, details.get("cache_creation"))
        span.put_count(semconv.AUDIO_INPUT_TOKENS, details.get("audio"))
    if isinstance(more, dict):
        span.put_count(semconv.REASONING_TOKENS, more.get("reasoning"))
        span.put_count(semconv.AUDIO_OUTPUT_TOKENS, more.get("audio"))
    span.put_count(semconv.INPUT_TOKENS, usage.get("input_tokens"))
    span.put_count(semconv.OUTPUT_TOKENS, usage.get("output_tokens"))
    check_total(span, usage.get("total_tokens"))


def _mapping(text: Any) -> Any:
    found = parsed(text)
    if isinstance(found, str):
        try:
            return ast.literal_eval(found)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    return found


def _content(span: SpanAttributes, operation: str) -> None:
    given, got = parsed(span.take("gen_ai.prompt")), parsed(span.take("gen_ai.completion"))
    if isinstance(got, dict) and got.keys() == {"output"}:
        got = got["output"]  # a function's result
    if operation == semconv.OPERATION_CHAT:
        inputs = messages(framework_messages(given))
        outputs = _generated(got)
        put_messages(span, inputs, outputs)
        given, got = None if inputs else given, None if outputs else got
    put_content(span, operation, given, got)


def _generated(got: Any) -> list[dict[str, Any]]:
    """The answers of LangChain's LLMResult."""
    generations = got.get("generations") if isinstance(got, dict) else None
    if not isinstance(generations, list):
        return []
    flat = [one for group in generations for one in (group if isinstance(group, list) else [group])]
    found = [one.get("message") or one.get("text") for one in flat if isinstance(one, dict)]
    return messages(framework_messages(found) or found, role="assistant")
