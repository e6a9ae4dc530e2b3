"""Brings spans of other instrumentors to the conventions' names, after the parse and before the durable log.

It is done here and not in SQL because it must cost our own spans nothing: a scope of ours is skipped by its name, any
other span pays one look at its keys (about 4 µs), and only a span in a foreign dialect is rewritten. In the
materialized view every span would pay for the search of every dialect's keys.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ...instrument import semconv
from . import adk, langfuse, logfire, mlflow, openinference, openllmetry, pydantic_ai, vercel
from .attributes import STATUS_ERROR, SpanAttributes, any_value, as_json, parsed
from .messages import messages
from .nested_calls import OURS, NestedCalls
from .providers import canonical
from .vocabulary import put_error, put_messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

_log = logging.getLogger(__name__)
_DIALECTS: tuple[tuple[tuple[str, ...], Callable[[SpanAttributes], None]], ...] = (
    (("ai.operationId",), vercel.rewrite),
    (
        ("pydantic_ai.", "all_messages_events", "final_result", "tool_arguments", "tool_response", "agent_name"),
        pydantic_ai.rewrite,
    ),
    (("gcp.vertex.agent.",), adk.rewrite),
    (("openinference.", "llm.token_count.", "llm.input_messages."), openinference.rewrite),
    (("langfuse.",), langfuse.rewrite),
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
_ORDINARY, _STRUCTURE, _PROVIDER, _DIALECT = range(4)
_CHOICE = "gen_ai.choice"
_TOLD = {"gen_ai.content.prompt": "gen_ai.prompt", "gen_ai.content.completion": "gen_ai.completion"}
_ROLES = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_MESSAGE_EVENTS = frozenset({*_ROLES, *_TOLD, _CHOICE, semconv.CONTENT_EVENT})


def normalise(request: ExportTraceServiceRequest, nested: NestedCalls | None = None, project: str = "") -> bool:
    """Rewrite foreign spans of a request in place; whether any was, so that the caller serialises it again.

    A span that a dialect cannot read stays as it came: nothing here may cost a span. With `nested`, calls inside calls
    of earlier requests are found, too; without it those of this one.
    """
    changed = foreign = False
    for group in request.resource_spans:
        for scope in group.scope_spans:
            if not scope.scope.name.startswith(OURS):
                foreign = True
                changed |= _normalise_scope(scope)
    if nested is not None:
        changed |= nested.settle(request, project)
    elif foreign:
        changed |= NestedCalls().settle(request, project)
    return changed


def _normalise_scope(scope: ScopeSpans) -> bool:
    changed = False
    for span in scope.spans:
        if not _may_be_foreign(span):
            continue
        attributes = SpanAttributes(span, scope.scope.name)
        try:
            _rewrite(attributes)
        except Exception:  # noqa: BLE001 - whatever a client sends under these names, the span is stored as it came
            _log.warning("left a span of scope %r as it came", scope.scope.name, exc_info=True)
        else:
            changed |= attributes.commit()
    return changed


def _may_be_foreign(span: Span) -> bool:
    """Whether anything below could change the span: its cost is paid by every span that is not ours."""
    for pair in span.attributes:
        kind = _kinds[pair.key]
        if kind and _matters(kind, pair.value):
            return True
    return bool(span.events) or span.status.code == STATUS_ERROR


def _matters(kind: int, value: AnyValue) -> bool:
    if kind == _PROVIDER:
        return canonical(value.string_value) != value.string_value
    return kind == _DIALECT or value.WhichOneof("value") != "string_value"


class _Kinds(dict[str, int]):
    """What a key may mean, remembered: a look-up here is most of what an ordinary span costs."""

    def __missing__(self, key: str) -> int:
        if any(key.startswith(prefixes) for prefixes, _ in _DIALECTS):
            kind = _DIALECT
        else:
            kind = _STRUCTURE if key in _STRUCTURED else _PROVIDER if key == semconv.PROVIDER else _ORDINARY
        if len(self) < 4096:  # somebody's keys may be numbered without end
            self[key] = kind
        return kind


_kinds = _Kinds()


def _rewrite(attributes: SpanAttributes) -> None:
    keys = list(attributes.keys())
    for prefixes, rewrite in _DIALECTS:
        if any(key.startswith(prefixes) for key in keys):
            rewrite(attributes)
    _one_provider(attributes)
    _structured_values(attributes)
    _message_events(attributes)
    if any(key.startswith(("gen_ai.", "openinference.", "mlflow.", "langfuse.")) for key in keys):
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
