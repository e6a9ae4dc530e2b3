"""What every dialect has under a name of its own: usage, content, errors; written once for all of them."""

from __future__ import annotations

import re
from typing import Any

from ...instrument import semconv
from ...queries.framework_messages import framework_messages
from .attributes import STATUS_ERROR, SpanAttributes, as_json, count_of, parsed
from .messages import messages, request_messages, response_messages

# An instrumentor's kind of span, in lower case, and the operation of the conventions. Glue (chain, task, span) has none.
OPERATIONS = {
    "llm": semconv.OPERATION_CHAT,
    "chat": semconv.OPERATION_CHAT,
    "chat_model": semconv.OPERATION_CHAT,
    "generation": semconv.OPERATION_CHAT,
    "completion": semconv.OPERATION_COMPLETION,
    "embedding": semconv.OPERATION_EMBEDDINGS,
    "tool": semconv.OPERATION_TOOL,
    "agent": semconv.OPERATION_AGENT,
    "retriever": semconv.OPERATION_RETRIEVAL,
    "workflow": semconv.OPERATION_WORKFLOW,
}
MODEL_OPERATIONS = (semconv.OPERATION_CHAT, semconv.OPERATION_COMPLETION, semconv.OPERATION_EMBEDDINGS)
# Buckets beside the input's own: always apart from it.
_APART = (
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "input_cached_tokens",
    "input_cache_read",
    "input_cache_creation",
)
_WRITTEN = (semconv.CACHE_WRITE_TOKENS, "gen_ai.usage.cache_creation.input_tokens")
_PARAMETERS = ("temperature", "top_p", "top_k", "max_tokens", "seed", "frequency_penalty", "presence_penalty")


def put_usage(span: SpanAttributes, usage: Any, *, inclusive: bool = False) -> None:
    """Token counts from a usage object in OpenAI's, Anthropic's or a dialect's words.

    With `inclusive` its total of the input may hold the cached tokens already; the decoder proves where it does not.
    """
    usage = parsed(usage)
    if not isinstance(usage, dict):
        return
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    more = usage.get("completion_tokens_details") or usage.get("output_tokens_details") or {}
    cached = _first(usage, "cache_read_input_tokens", "cached_tokens", "input_cached_tokens", "input_cache_read")
    span.put_count(semconv.CACHED_TOKENS, _first(details, "cached_tokens") if cached is None else cached)
    span.put_count(semconv.CACHE_WRITE_TOKENS, _first(usage, "cache_creation_input_tokens", "input_cache_creation"))
    reasoning = _first(usage, "reasoning_tokens", "output_reasoning_tokens")
    span.put_count(semconv.REASONING_TOKENS, _first(more, "reasoning_tokens") if reasoning is None else reasoning)
    _put_input(span, usage, inclusive=inclusive)
    span.put_count(semconv.OUTPUT_TOKENS, _first(usage, "completion_tokens", "output_tokens", "output"))


def put_cost(span: SpanAttributes, dollars: Any) -> None:
    """What the sender says that the call cost, beside what the prices make of it; 0 is what it says of models it does not know."""
    if isinstance(dollars, int | float) and not isinstance(dollars, bool) and dollars > 0:
        span.put(semconv.REPORTED_COST_USD, float(dollars))


def take_operation_cost(span: SpanAttributes) -> None:
    """Logfire's and Pydantic AI's name of it."""
    put_cost(span, span.take("operation.cost"))


def add_cached_tokens(span: SpanAttributes) -> None:
    """The total of the input left out what was cached: from here on it does not."""
    counts = [_count(span.get(name)) for name in (semconv.INPUT_TOKENS, semconv.CACHED_TOKENS, _WRITTEN[0])]
    written = max(counts.pop(), _count(span.get(_WRITTEN[1])))
    if span.get(semconv.INPUT_TOKENS) is not None:
        span.replace(semconv.INPUT_TOKENS, sum(counts) + written)


def check_total(span: SpanAttributes, total: Any = None) -> None:
    """A total of all tokens that is the sum with the cached ones proves that the input was counted without them."""
    total = _count(span.get("gen_ai.usage.total_tokens") or span.get("llm.usage.total_tokens") or total)
    sent, cached, got = (
        _count(span.get(name)) for name in (semconv.INPUT_TOKENS, semconv.CACHED_TOKENS, semconv.OUTPUT_TOKENS)
    )
    apart = cached + max(_count(span.get(name)) for name in _WRITTEN)
    if apart and total == sent + got + apart:
        add_cached_tokens(span)


def _count(value: Any) -> int:
    return count_of(value) or 0


def forget_estimates(span: SpanAttributes) -> None:
    """Tokens that a library counted itself are not known: they stay as attributes, and are no usage."""
    if span.get(semconv.USAGE_ESTIMATED) in (True, "true"):
        for name in (semconv.INPUT_TOKENS, semconv.OUTPUT_TOKENS):
            span.put_count(f"{semconv.USAGE_ESTIMATED}.{name.rpartition('.')[2]}", span.get(name))
            span.replace(name, None)


def _put_input(span: SpanAttributes, usage: dict[str, Any], *, inclusive: bool) -> None:
    """All tokens of the input. Totals under Anthropic's names, and Langfuse's buckets, leave the cached ones out."""
    total = _first(usage, "prompt_tokens", "input_tokens", "input", "promptTokens")
    total = count_of(total)
    counts = [count for name in _APART if (count := count_of(usage.get(name))) is not None]
    if total is not None and counts and usage.get("prompt_tokens") is None and not inclusive:
        every = total + sum(counts)
        if span.get(semconv.INPUT_TOKENS) == total:
            span.replace(semconv.INPUT_TOKENS, None)
        total = every
    span.put_count(semconv.INPUT_TOKENS, total)


def put_parameters(span: SpanAttributes, parameters: Any) -> None:
    """The request's parameters; also its model when nothing better named one."""
    parameters = parsed(parameters)
    if not isinstance(parameters, dict):
        return
    for name in _PARAMETERS:
        value = parameters.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            span.put(f"gen_ai.request.{name}", value)
    if parameters.get("stream") is True:
        span.put(semconv.REQUEST_STREAM, True)
    if isinstance(parameters.get("model"), str):
        span.put(semconv.REQUEST_MODEL, parameters["model"])


def put_messages(span: SpanAttributes, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
    """Input and output messages, as the JSON text that the conventions ask for."""
    if inputs:
        span.put(semconv.INPUT_MESSAGES, as_json(inputs))
    if outputs:
        span.put(semconv.OUTPUT_MESSAGES, as_json(outputs))
        reasons = [str(message["finish_reason"]) for message in outputs if message.get("finish_reason")]
        span.put(semconv.FINISH_REASONS, reasons or None)


def put_content(span: SpanAttributes, operation: str, given: Any, got: Any) -> None:
    """The raw input and output of a span, under the name that its operation gives them."""
    if operation in MODEL_OPERATIONS:
        given, got = parsed(given), parsed(got)
        is_request = isinstance(given, dict) and not {"role", "parts"} & given.keys()
        inputs = request_messages(given) if is_request else messages(given)
        is_response = isinstance(got, dict) and bool({"choices", "output", "stop_reason", "object"} & got.keys())
        outputs = response_messages(got) if is_response else messages(got, role="assistant")
        if operation == semconv.OPERATION_EMBEDDINGS:
            outputs = []  # vectors are no message
        put_messages(span, inputs, outputs)
    elif operation == semconv.OPERATION_TOOL:
        span.put(semconv.TOOL_ARGUMENTS, _text(given))
        span.put(semconv.TOOL_RESULT, _text(got))
    elif operation == semconv.OPERATION_RETRIEVAL:
        span.put(semconv.RETRIEVAL_QUERY, _text(given))
        span.put(semconv.RETRIEVAL_DOCUMENTS, _text(got))
    else:
        asked, said = messages(framework_messages(parsed(given))), messages(framework_messages(parsed(got)))
        put_messages(span, asked, said)
        span.put(semconv.INPUT_VALUE, None if asked else _text(given))
        span.put(semconv.OUTPUT_VALUE, None if said else _text(got))


def put_name(span: SpanAttributes, operation: str, name: Any) -> None:
    """The tool's or agent's name, the span's own when the dialect has none."""
    if operation == semconv.OPERATION_TOOL:
        span.put(semconv.TOOL_NAME, name or span.span.name)
    elif operation == semconv.OPERATION_AGENT:
        # A span named for a method, `Forecaster._execute_core`, is named for the agent in front of it.
        span.put(semconv.AGENT_NAME, name or _METHOD.sub("", span.span.name))


def put_error(span: SpanAttributes) -> None:
    """The error type of a failed span, from its exception event when no attribute says it."""
    if span.span.status.code != STATUS_ERROR or semconv.ERROR_TYPE in span:
        return
    for event in span.span.events:
        if event.name == "exception":
            for pair in event.attributes:
                if pair.key == "exception.type":
                    span.put(semconv.ERROR_TYPE, pair.value.string_value)
                    return


_METHOD = re.compile(r"\.\w+$")


def _first(values: Any, *keys: str) -> Any:
    if isinstance(values, dict):
        for key in keys:
            if values.get(key) is not None:
                return values[key]
    return None


def _text(value: Any) -> Any:
    return None if value is None else as_json(value)
