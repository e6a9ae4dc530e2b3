"""Logfire: the conventions' names already, but usage details in `gen_ai.usage.raw` and a stream as two spans."""

from __future__ import annotations

from ...instrument import semconv
from ...queries.role_of_span import CALL, ROLE_OF_OPERATION
from .attributes import STATUS_ERROR, SpanAttributes, as_json, parsed
from .vocabulary import put_usage


def rewrite(span: SpanAttributes) -> None:
    """Complete the usage; make of a stream's two spans one call."""
    put_usage(span, span.take("gen_ai.usage.raw"))
    reasons = span.get(semconv.FINISH_REASONS)
    if isinstance(reasons, str) and isinstance(parsed(reasons), list):
        span.replace(semconv.FINISH_REASONS, [str(reason) for reason in parsed(reasons)])
    if span.get(semconv.OPERATION) is None:
        _function(span)
        return
    if span.get("logfire.span_type") == "log":
        # The log record written at the stream's end has the content; its `duration` says when the stream began.
        seconds = span.get("duration")
        if isinstance(seconds, int | float) and seconds > 0:
            span.span.start_time_unix_nano = max(span.span.end_time_unix_nano - int(seconds * 1e9), 0)
    elif span.scope.startswith("logfire") and _is_only_the_opening_of_a_stream(span):
        span.replace(semconv.OPERATION, None)


def _function(span: SpanAttributes) -> None:
    """An instrumented function: its arguments are attributes of their own, listed in the span's schema."""
    schema = parsed(span.get("logfire.json_schema"))
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or "code.function" not in span or semconv.REQUEST_MODEL in span:
        return
    given = {name: parsed(span.take(name)) for name in properties if name != "return" and name in span}
    span.put(semconv.INPUT_VALUE, as_json(given) if given else None)
    returned = span.take("return")
    span.put(semconv.OUTPUT_VALUE, None if returned is None else as_json(returned))


def _is_only_the_opening_of_a_stream(span: SpanAttributes) -> bool:
    """A span that ended well with neither answer nor usage: the log record that follows is the call."""
    is_call = ROLE_OF_OPERATION.get(str(span.get(semconv.OPERATION))) == CALL
    return (
        is_call
        and span.span.status.code != STATUS_ERROR
        and not any(
            key in span
            for key in (semconv.OUTPUT_MESSAGES, semconv.OUTPUT_TOKENS, semconv.INPUT_TOKENS, semconv.RESPONSE_ID)
        )
    )
