"""The spans of other instrumentations: our content policy before any export, conversation and user handed down."""

from __future__ import annotations

import logging
import sys
from typing import Any
from weakref import WeakKeyDictionary

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context, get_current
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanContext, SpanKind, Status

from . import semconv
from .content import ContentPolicy
from .context import add_context_attributes, scopes_seen
from .current_context import SPAN_KEY
from .foreign_content import GENAI, MOST_BYTES, QUOTING, ForeignContent, is_content
from .libraries.coexistence import call_of
from .libraries.framework_runs import are_kept, span_of_run
from .safe_call import safe_call
from .span_attributes import read
from .tracing import is_ours

log = logging.getLogger(__name__)

# Modules that know of a conversation although no span around does.
_GENAI_CONVERSATION, _LANGCHAIN_CONFIG = (
    "opentelemetry.util.genai._conversation_context",
    "langchain_core.runnables.config",
)
_KNOW_CONVERSATIONS = frozenset((_GENAI_CONVERSATION, _LANGCHAIN_CONFIG))

_runs: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()  # the span of the model run that a span lies in


class ForeignSpans(SpanProcessor):
    """Applies the policy as a span ends: before `on_end` of every processor, whichever was added first."""

    def __init__(self, policy: ContentPolicy) -> None:
        self._policy = policy
        self._content = ForeignContent(policy)
        self.active = True

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Gives the span what is known around it: frameworks know conversation and user, calls inside do not."""
        if self.active:
            safe_call(_started, span, parent_context)

    def _on_ending(self, span: Span) -> None:
        if not self.active:
            return
        if _runs and (run := _runs.pop(span, None)) is not None and run.end_time is None and call_of(span) is not None:
            safe_call(run.set_attribute, semconv.ROLE, semconv.ROLE_OTHER)
        try:
            if not is_ours(span) and not self._is_fine(span):
                self._apply(span)
        except Exception:
            # What could not be masked does not leave.
            log.debug("the content of a span could not be masked; it is withheld", exc_info=True)
            safe_call(_withhold, span)

    def on_end(self, span: ReadableSpan) -> None:
        """Nothing is left to do."""

    def _is_fine(self, span: Any) -> bool:
        """Whether the span may leave as it is, as nearly all may where all content may and nothing is masked."""
        policy = self._policy
        if not policy.on_span or policy.redactor is not None or span.events or span.status.description:
            return False
        attributes = read(span)
        if semconv.CONVERSATION_ID in attributes and not _is_conversation(attributes[semconv.CONVERSATION_ID]):
            return False
        longest = policy.max_bytes // MOST_BYTES
        for value in attributes.values():  # noqa: SIM110 - a generator costs twice as much
            if value.__class__ is str and len(value) > longest:
                return False
        return True

    def _apply(self, span: Any) -> None:
        attributes = span._attributes  # noqa: SLF001 - ended spans can be changed in no public way
        genai = any(name.startswith(GENAI) for name in attributes)
        cleaned = self._content.cleaned(attributes, genai=genai)
        if not _is_conversation(attributes.get(semconv.CONVERSATION_ID, "-")):
            cleaned = {**(attributes if cleaned is None else cleaned)}
            del cleaned[semconv.CONVERSATION_ID]
        if cleaned is not None:
            span._attributes = _bounded(attributes, cleaned)  # noqa: SLF001
        if genai:
            self._clean_events(span)
            span._name = self._policy.name(span.name)  # noqa: SLF001
            if span.status.description:
                # An API's error quotes the request: without content it stays here, as with spans of ours.
                span._status = Status(span.status.status_code, self._policy.api_message(span.status.description))  # noqa: SLF001

    def _clean_events(self, span: Any) -> None:
        events = list(span._events)  # noqa: SLF001
        changed = False
        for index, event in enumerate(events):
            kept = {
                name: value
                for name, value in (event.attributes or {}).items()
                if self._policy.on_span or name not in QUOTING
            }
            cleaned = self._content.cleaned(kept, genai=True, event=event.name.startswith("gen_ai."))
            if cleaned is None and len(kept) < len(event.attributes or {}):
                cleaned = kept
            name = self._content.name(event.name)
            if cleaned is not None or name != event.name:
                events[index] = Event(name, kept if cleaned is None else cleaned, event.timestamp)
                changed = True
        if changed:
            span._events = events  # noqa: SLF001


def _started(span: Span, parent_context: Context | None) -> None:
    context = get_current() if parent_context is None else parent_context
    scope = span.instrumentation_scope
    if scope is not None:
        scopes_seen.add(scope.name)
    if context and not is_ours(span):
        # Spans of ours get them as they start, so that samplers see them.
        add_context_attributes(span, context)
    if SPAN_KEY in context or not sys.modules.keys().isdisjoint(_KNOW_CONVERSATIONS):
        _inherit(span, context)
    if are_kept() and not is_ours(span):
        _put_into_run(span, context)


def _put_into_run(span: Any, context: Context) -> None:
    """A span that another instrumentation starts inside a LangChain run belongs to it, although no span says so."""
    run = span_of_run(context)
    if run is None or getattr(run.span.instrumentation_scope, "name", "") == getattr(
        span.instrumentation_scope, "name", ""
    ):
        return
    around, own = run.span.get_span_context(), span.get_span_context()
    if span.parent is None:  # nobody has seen its ids yet
        span._context = SpanContext(around.trace_id, own.span_id, False, own.trace_flags, own.trace_state)  # noqa: SLF001
    elif span.parent.trace_id != around.trace_id:
        return
    span._parent = around  # noqa: SLF001
    if run.is_model_call:
        _runs[span] = run.span


def _inherit(span: Span, context: Context) -> None:
    parent: Any = context.get(SPAN_KEY)
    own, around = read(span), read(parent)
    if semconv.CONVERSATION_ID not in own and semconv.SESSION_ID not in own:
        conversation = around.get(semconv.CONVERSATION_ID) or around.get(semconv.SESSION_ID)
        if not conversation and semconv.MCP_SESSION_ID in around and parent.kind is SpanKind.SERVER:
            conversation = around[semconv.MCP_SESSION_ID]  # a client's connection may serve many conversations
        conversation = conversation or _ambient(context)
        if _is_conversation(conversation):
            span.set_attribute(semconv.CONVERSATION_ID, str(conversation))
    user = around.get(semconv.USER_ID)
    if user is not None and semconv.USER_ID not in own:
        span.set_attribute(semconv.USER_ID, user)


def _ambient(context: Context) -> Any:
    """The conversation where only the framework's own context has it: official instrumentors', LangGraph's thread."""
    if (module := sys.modules.get(_GENAI_CONVERSATION)) is not None:
        found = module.get_ambient_conversation_id(context)
        if found:
            return found
    if (module := sys.modules.get(_LANGCHAIN_CONFIG)) is not None:
        config = module.var_child_runnable_config.get() or {}
        return (config.get("configurable") or {}).get("thread_id")
    return None


def _is_conversation(value: Any) -> bool:
    """Microsoft's agent-framework gives every call the id of the response before as its conversation."""
    return bool(value) and not str(value).startswith("resp_")


def _withhold(span: Any) -> None:
    before = span._attributes  # noqa: SLF001
    span._attributes = _bounded(before, {name: value for name, value in before.items() if not is_content(name)})  # noqa: SLF001
    span._events = []  # noqa: SLF001
    span._status = Status(span.status.status_code)  # noqa: SLF001


def _bounded(before: Any, attributes: dict[str, Any]) -> BoundedAttributes:
    return BoundedAttributes(
        maxlen=getattr(before, "maxlen", None),
        attributes=attributes,
        immutable=True,
        max_value_len=getattr(before, "max_value_len", None),
    )
