"""MLflow: every attribute is JSON text, the request and response bodies are the inputs and outputs."""

from __future__ import annotations

from typing import Any

from ...instrument import semconv
from .attributes import SpanAttributes, as_json, parsed
from .vocabulary import MODEL_OPERATIONS, OPERATIONS, put_content, put_cost, put_name, put_parameters, put_usage


def rewrite(span: SpanAttributes) -> None:
    """Rename what MLflow's tracing wrote."""

    def take(key: str) -> Any:
        return parsed(span.take(key))

    operation = OPERATIONS.get(str(take("mlflow.spanType") or "").lower(), "")
    span.put(semconv.OPERATION, operation)
    given, got = take("mlflow.spanInputs"), take("mlflow.spanOutputs")
    if operation in MODEL_OPERATIONS:
        provider = take("mlflow.llm.provider") or parsed(span.get("mlflow.message.format"))
        span.put(semconv.PROVIDER, provider)
        put_parameters(span, given)
        if isinstance(got, dict) and isinstance(got.get("model"), str):
            span.put(semconv.RESPONSE_MODEL, got["model"])
            span.put(semconv.RESPONSE_ID, got.get("id"))
        model = take("mlflow.llm.model")
        span.put(semconv.REQUEST_MODEL, model)
        span.put(semconv.RESPONSE_MODEL, model)
        if isinstance(got, dict):
            put_usage(span, got.get("usage"))
        # Its own counts include the cached tokens in newer releases, not in older ones: what the API said comes first.
        put_usage(span, take("mlflow.chat.tokenUsage"), inclusive=True)
        cost = parsed(take("mlflow.llm.cost"))
        put_cost(span, cost.get("total_cost") if isinstance(cost, dict) else None)
        tools = take("mlflow.chat.tools")
        span.put(semconv.TOOL_DEFINITIONS, as_json(tools) if tools else None)
        # The request's fields are on the span a second time, each under its own bare name.
        for name in given if isinstance(given, dict) else ():
            span.take(str(name))
    put_name(span, operation, take("mlflow.spanFunctionName") if operation == semconv.OPERATION_TOOL else None)
    put_content(span, operation, given, got)
    span.put(semconv.CONVERSATION_ID, take("mlflow.trace.session"))
    span.put(semconv.USER_ID, take("mlflow.trace.user"))
    _drop_chunks(span)


def _drop_chunks(span: SpanAttributes) -> None:
    """One event per streamed chunk repeats the output; the first one still tells the time to first token."""
    first = next((event for event in span.span.events if event.name == "mlflow.chunk.item.0"), None)
    if first is not None and first.time_unix_nano >= span.span.start_time_unix_nano:
        span.put(semconv.TIME_TO_FIRST_CHUNK, (first.time_unix_nano - span.span.start_time_unix_nano) / 1e9)
    span.drop_events(lambda name: name.startswith("mlflow.chunk.item."))
