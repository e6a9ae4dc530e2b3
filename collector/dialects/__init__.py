"""Brings spans of other instrumentors to the conventions' names, after the parse and before the durable log.

It is done here and not in SQL because it must cost ordinary spans nothing: every span pays one look at its keys, and only
a span in a foreign dialect is rewritten. In the materialized view every span would pay for the search of every
dialect's keys.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ...instrument import semconv
from . import (
    adk,
    braintrust,
    genkit,
    langfuse,
    langsmith,
    logfire,
    mcp,
    mlflow,
    openinference,
    openlit,
    openllmetry,
    pydantic_ai,
    vercel,
)
from .attributes import SpanAttributes, any_value, as_json, parsed
from .call_nesting import OURS
from .messages import messages
from .nested_calls import READ, NestedCalls
from .providers import canonical
from .span_outline import Reader, is_text, text_of
from .vocabulary import check_total, forget_estimates, put_error, put_messages, take_operation_cost

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

_log = logging.getLogger(__name__)
_DIALECTS: tuple[tuple[tuple[str, ...], Callable[[SpanAttributes], None]], ...] = (
    (("ai.operationId",), vercel.rewrite),
    (("ai.settings.context.", "ai.values", "ai.usage.outputTokenDetails."), vercel.complete),
    (
        ("pydantic_ai.", "all_messages_events", "final_result", "tool_arguments", "tool_response", "agent_name"),
        pydantic_ai.rewrite,
    ),
    (("gcp.vertex.agent.",), adk.rewrite),
    (("openinference.", "llm.token_count.", "llm.input_messages."), openinference.rewrite),
    (("langfuse.",), langfuse.rewrite),
    (("langsmith.",), langsmith.rewrite),
    (("braintrust.",), braintrust.rewrite),
    (("genkit:",), genkit.rewrite),
    ((semconv.MCP_SESSION_ID,), mcp.rewrite),
    (("mlflow.",), mlflow.rewrite),
    (("logfire.",), logfire.rewrite),
    (
        (
            "traceloop.",
            "gen_ai.prompt.0.",
            "gen_ai.completion.0.",
            "llm.request.type",
            "gen_ai.system",
            "gen_ai.usage.prompt_tokens",
            "gen_ai.usage.completion_tokens",
        ),
        openllmetry.rewrite,
    ),
    (("operation.cost",), take_operation_cost),
    (("openlit.", "gen_ai.client.token.usage", "gen_ai.usage.cost"), openlit.rewrite),
    (("gen_ai.usage.total_tokens", "llm.usage.total_tokens"), check_total),
    ((semconv.USAGE_ESTIMATED,), forget_estimates),  # last: whatever the others found
)
_STRUCTURED = (
    semconv.INPUT_MESSAGES,
    semconv.OUTPUT_MESSAGES,
    semconv.SYSTEM_INSTRUCTIONS,
    semconv.TOOL_ARGUMENTS,
    semconv.TOOL_RESULT,
    semconv.TOOL_DEFINITIONS,
    semconv.RETRIEVAL_DOCUMENTS,
)
_CHOICE = "gen_ai.choice"
_TOLD = {"gen_ai.content.prompt": "gen_ai.prompt", "gen_ai.content.completion": "gen_ai.completion"}
_ROLES = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_MESSAGE_EVENTS = frozenset({*_ROLES, *_TOLD, _CHOICE, semconv.CONTENT_EVENT})


def normalise(
    request: ExportTraceServiceRequest,
    nested: NestedCalls | None = None,
    project: str = "",
    *,
    body: bytes | None = None,
) -> bool:
    """Rewrite foreign spans of a request in place; whether any was, so that the caller serialises it again.

    A span that a dialect cannot read stays as it came: nothing here may cost a span. With `nested`, calls inside calls
    of earlier requests are found, too; without it those of this one. `body` is the request's encoding, when it is known.
    """
    outlines = list(_READER.read(request.SerializeToString() if body is None else body))
    foreign = [one for one in outlines if not one.scope.startswith(OURS)]
    changed = False
    for one in foreign:
        if one.suspect:
            changed |= _normalise_span(one.of(request), one.scope)
    if runs := [one.of(request) for one in foreign if one.scope in vercel.SCOPES]:
        changed |= vercel.inherit(runs)
    if changed:
        outlines = list(_READER.read(request.SerializeToString()))
    if nested is not None:
        changed |= nested.settle(outlines, request, project)
    elif foreign:
        changed |= NestedCalls().settle(outlines, request, project)
    return changed


def remember(body: bytes, nested: NestedCalls, project: str) -> None:
    """Adds the spans of a request that an earlier process settled and made durable."""
    nested.settle(list(_READER.read(body)), ExportTraceServiceRequest.FromString(body), project)


def _normalise_span(span: Span, scope: str) -> bool:
    attributes = SpanAttributes(span, scope)
    try:
        _rewrite(attributes)
        return attributes.commit()
    except Exception:  # noqa: BLE001 - whatever a client sends under these names, the span is stored as it came
        _log.warning("left a span of scope %r as it came", scope, exc_info=True)
        return False


def _suspicious(key: str) -> Callable[[bytes], bool] | None:
    """What tells whether an attribute of that name is one that something below changes; None for nearly all names."""
    if any(key.startswith(prefixes) for prefixes, _ in _DIALECTS):
        return lambda _: True
    if key in _STRUCTURED:
        return lambda raw: not is_text(raw)
    if key == semconv.PROVIDER:
        return _is_no_canonical_name
    return None


@lru_cache(maxsize=4096)
def _is_no_canonical_name(provider: bytes) -> bool:
    return canonical(text_of(provider)) != text_of(provider)


_READER = Reader(READ, OURS, _suspicious)


def _rewrite(attributes: SpanAttributes) -> None:
    keys = list(attributes.keys())
    for prefixes, rewrite in _DIALECTS:
        if any(key.startswith(prefixes) for key in keys):
            rewrite(attributes)
    _one_provider(attributes)
    _structured_values(attributes)
    _message_events(attributes)
    if any(
        key.startswith(("gen_ai.", "openinference.", "mlflow.", "langfuse.", "langsmith.", "genkit:")) for key in keys
    ):
        put_error(attributes)


def _one_provider(span: SpanAttributes) -> None:
    name = span.get(semconv.PROVIDER) or span.get("gen_ai.system")
    if isinstance(name, str) and name and span.get(semconv.PROVIDER) != canonical(name):
        span.replace(semconv.PROVIDER, canonical(name))
    if span.get(semconv.OPERATION) == "vectordb":  # OpenLIT's name for a search in a vector store
        span.replace(semconv.OPERATION, semconv.OPERATION_RETRIEVAL)


def _structured_values(span: SpanAttributes) -> None:
    """Messages sent as nested values become the JSON text that the columns hold."""
    for key in _STRUCTURED:
        if key in span:
            value = span.get(key)
            if not isinstance(value, str):
                span.replace(key, as_json(value))


def _message_events(span: SpanAttributes) -> None:
    """Messages that conventions old and new write as span events."""
    inputs: list[dict[str, Any]] = []
    outputs: list[dict[str, Any]] = []
    is_tool = span.get(semconv.OPERATION) == semconv.OPERATION_TOOL
    for event in span.span.events:
        if event.name not in _MESSAGE_EVENTS:
            continue
        values = {pair.key: any_value(pair.value) for pair in event.attributes}
        if event.name == semconv.CONTENT_EVENT:
            instructions = parsed(values.get(semconv.SYSTEM_INSTRUCTIONS))
            span.put(semconv.SYSTEM_INSTRUCTIONS, as_json(instructions) if instructions else None)
            inputs += messages(values.get(semconv.INPUT_MESSAGES))
            outputs += messages(values.get(semconv.OUTPUT_MESSAGES), role="assistant")
        elif is_tool and event.name in ("gen_ai.tool.message", _CHOICE):
            key = semconv.TOOL_RESULT if event.name == _CHOICE else semconv.TOOL_ARGUMENTS
            said = values.get("message") if event.name == _CHOICE else values.get("content")
            span.put(key, None if said is None else as_json(said))
        elif event.name == _CHOICE:
            outputs += messages(values.get("message") or values.get("content"), role="assistant")
        elif event.name in _TOLD:
            said = values.get(_TOLD[event.name])
            if event.name.endswith("prompt"):
                inputs += messages(said)
            else:
                outputs += messages(said, role="assistant")
        else:
            role = _ROLES[event.name]
            inputs += messages({"role": role, "content": values.get("content"), "tool_call_id": values.get("id")})
    put_messages(span, inputs, outputs)
    span.drop_events(_MESSAGE_EVENTS.__contains__)
