"""What the spans of observed functions say: their name and attributes by kind, their arguments and their result."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
from opentelemetry import trace
from opentelemetry.context import create_key, set_value
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from . import config as settings
from . import semconv
from .content import ContentPolicy, without_content
from .context import current_attributes
from .current_context import ContextScope, live_context
from .libraries.coexistence import in_run
from .safe_call import safe_call
from .suppression import is_suppressed
from .tracing import Attributes, Tracing, active, error_name

# kind -> (operation, the attribute that holds the name); the spans' names are "operation name".
KINDS: dict[str, tuple[str, str]] = {
    "agent": (semconv.OPERATION_AGENT, semconv.AGENT_NAME),
    "retriever": (semconv.OPERATION_RETRIEVAL, semconv.DATA_SOURCE_ID),
    "tool": (semconv.OPERATION_TOOL, semconv.TOOL_NAME),
    "workflow": (semconv.OPERATION_WORKFLOW, semconv.WORKFLOW_NAME),
}
ALIASES = {"retrieval": "retriever", "chain": "workflow", "function": "span", "task": "span", "generation": "span"}


# Set in a block or function whose span could not be started: what belongs to that span is let go there.
UNTRACED = create_key("evalspan.untraced")


class Observation:
    """One span of the app's own; ends once."""

    def __init__(self, tracing: Tracing, span: Span, kind: str) -> None:
        self.tracing = tracing
        self.span = span
        self.kind = kind
        self._open = [True]

    def enter(self) -> ContextScope:
        """Makes this the current span until the scope is left."""
        return ContextScope(set_span_in_context(self.span, live_context()))

    def end(self, attributes: Attributes | None = None, error: BaseException | None = None) -> None:
        """Ends the span, with what is known at the end."""
        try:
            self._open.pop()
        except IndexError:
            return
        try:
            if error is not None:
                self._fail(error)
            elif attributes:
                write(self, attributes)
        finally:
            self.span.end()

    def _fail(self, error: BaseException) -> None:
        description = self.tracing.policy.error_message(error)
        event = {"exception.type": error_name(error)}
        if description is not None:
            event["exception.message"] = description
        self.span.set_attribute(semconv.ERROR_TYPE, error_name(error))
        self.span.set_status(Status(StatusCode.ERROR, description))
        self.span.add_event("exception", event)


def begin(name: str, kind: str, attributes: Attributes, content: Callable[[], Attributes] | None) -> Observation | None:
    """Starts a span in the current context; None when no spans are wanted here."""
    context = live_context()
    if is_suppressed(context):
        return None
    context = safe_call(in_run, context) or context
    tracing = active_tracing()
    name = tracing.policy.name(name)
    # First, because a full span drops its oldest attributes.
    start: Attributes = current_attributes(context)
    full_name = name
    if kind in KINDS:
        operation, named = KINDS[kind]
        start = {**start, semconv.OPERATION: operation, named: name}
        full_name = f"{operation} {name}"
    start = {**start, **tracing.policy.sanitize_user_attributes(attributes)}
    span = tracing.tracer.start_span(full_name, context, SpanKind.INTERNAL, start)
    observation = Observation(tracing, span, kind)
    if content is not None and span.is_recording() and tracing.policy.on_span:
        safe_call(write, observation, safe_call(content) or {})
    return observation


def untraced() -> ContextScope:
    """Marks the context of a block that has no span of its own."""
    return ContextScope(set_value(UNTRACED, True))


def write(observation: Observation, attributes: Attributes) -> None:
    """Sets attributes; content among them is masked, bounded and encoded, or left out."""
    policy = observation.tracing.policy
    plain = {name: plain_value(value) for name, value in attributes.items()}
    observation.span.set_attributes(policy.sanitize(plain) if policy.on_span else without_content(plain))


def inputs(kind: str, signature: inspect.Signature | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Attributes:
    """The arguments of a call under the names that its kind has for them."""
    named = named_arguments(signature, args, kwargs)
    if kind == "retriever":
        query = next((value for value in named.values() if isinstance(value, str)), None)
        found: Attributes = {semconv.RETRIEVAL_QUERY: query} if query is not None else {semconv.INPUT_VALUE: named}
        for name in ("top_k", "k", "limit"):
            if isinstance(count := named.get(name), int):
                found[semconv.RETRIEVAL_TOP_K] = count
        return found
    return {semconv.TOOL_ARGUMENTS if kind == "tool" else semconv.INPUT_VALUE: named}


def named_arguments(
    signature: inspect.Signature | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """The arguments of a call by name, without the object that a method belongs to."""
    named: dict[str, Any] = dict(kwargs)
    if signature is None:
        named["args"] = list(args)
    else:
        named = dict(signature.bind_partial(*args, **kwargs).arguments)
        for name, parameter in signature.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD and name in named:
                named = {**named.pop(name), **named}
    named.pop("self", None)
    named.pop("cls", None)
    return named


def outputs(kind: str, result: Any) -> Attributes:
    """The result of a call under the name that its kind has for it."""
    if kind == "tool":
        return {semconv.TOOL_RESULT: result}
    if kind == "retriever" and isinstance(result, (list, tuple)):
        return {semconv.RETRIEVAL_DOCUMENTS: [_document(place, item) for place, item in enumerate(result)]}
    return {semconv.OUTPUT_VALUE: result}


def active_tracing() -> Tracing:
    """The tracing of the `init` in force; without one, the global provider with what the environment says."""
    return active() or _from_environment()


@lru_cache(maxsize=1)
def _from_environment() -> Tracing:
    config = settings.from_environment()
    policy = ContentPolicy(on_span=config.content.on_span, redactor=config.redactor, max_bytes=config.max_content_bytes)
    return Tracing(trace.get_tracer("evalspan"), policy)


def forget_environment() -> None:
    """Lets the next use without an `init` look the global provider up again."""
    _from_environment.cache_clear()


def plain_value(value: Any) -> Any:
    """A value as JSON has it, but for bytes, which only the policy knows how to write."""
    return msgspec.to_builtins(value, builtin_types=(bytes, bytearray), str_keys=True, enc_hook=as_plain)


def as_plain(value: Any) -> Any:
    """Any object as something JSON has: its fields if it can tell them, else what it prints."""
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return dump(mode="json")
    return repr(value)[:10_000]


def _document(place: int, item: Any) -> dict[str, Any]:
    if isinstance(item, str):
        return {"id": str(place), "content": item}
    if isinstance(item, (tuple, list)) and len(item) == 2:
        first, second = item
        text, score = (first, second) if isinstance(second, (int, float)) else (second, first)
        if isinstance(score, (int, float)):
            made = _document(place, text)
            return {**made, "score": float(score)}
    plain = plain_value(item)
    if isinstance(plain, dict):
        return {"id": str(plain.get("id", place)), **{key: value for key, value in plain.items() if key != "id"}}
    return {"id": str(place), "content": plain}
