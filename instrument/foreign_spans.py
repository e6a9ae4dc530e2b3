"""The spans of other instrumentations: our content policy before any export, conversation and user handed down."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context, get_current
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanKind, Status

from . import semconv
from .content import CONTENT_ATTRIBUTES, ContentPolicy, shorten, to_json
from .context import add_context_attributes, scopes_seen
from .current_context import SPAN_KEY
from .safe_call import safe_call
from .span_attributes import read
from .tracing import is_ours

log = logging.getLogger(__name__)

# What the dialects call their content, beside the names of the conventions.
_CONTENT = CONTENT_ATTRIBUTES | {
    "input.value",
    "output.value",
    "llm.prompts",
    "llm.tools",
    "llm.function_call",
    "llm.prompt_template.template",
    "llm.prompt_template.variables",
    "tool.parameters",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.retrieval.query",
    "traceloop.entity.input",
    "traceloop.entity.output",
    "pydantic_ai.all_messages",
    "pydantic_ai.new_messages",
    "all_messages_events",
    "final_result",
    "tool_arguments",
    "tool_response",
    "model_request_parameters",
    "request_data",
    "response_data",
    "events",
    "mlflow.spanInputs",
    "mlflow.spanOutputs",
    "langfuse.observation.input",
    "langfuse.observation.output",
    "langfuse.trace.input",
    "langfuse.trace.output",
    "crew_agents",
    "crew_tasks",
    "crew_inputs",
    "formatted_task",
    "system_prompt",
}
_CONTENT_BELOW = (
    "llm.input_messages.",
    "llm.output_messages.",
    "llm.prompts.",
    "llm.choices.",
    "llm.tools.",
    "llm.request.functions.",
    "retrieval.documents.",
    "reranker.",
    "embedding.embeddings.",
    "gen_ai.prompt.",
    "gen_ai.completion.",
    "ai.prompt",
    "ai.response.text",
    "ai.response.object",
    "ai.response.toolCalls",
    "ai.response.reasoning",
    "ai.toolCall.args",
    "ai.toolCall.result",
)
# Parts of an event of the older conventions, such as gen_ai.user.message, gen_ai.choice and gen_ai.tool.message.
_EVENT_CONTENT = frozenset(("content", "message", "tool_calls", "arguments", "result", "body", "parts"))
# What an exception says may quote the request.
_QUOTING = frozenset(("exception.message", "exception.stacktrace"))
_GENAI = ("gen_ai.", "openinference.", "llm.", "traceloop.", "pydantic_ai.", "ai.", "logfire.", "langfuse.", "mlflow.")
# Identifiers and vocabulary: what spans are looked up by is not masked, as with spans of ours.
_STRUCTURE = re.compile(
    r"(^|[._])(id|ids|name|names|type|types|model|version|kind|role|roles|reason|reasons|provider|system|encoding"
    r"|mime_type|scope|status|format|formats|tier|fingerprint|address|parent|schema)$"
)


# Modules that know of a conversation although no span around does.
_GENAI_CONVERSATION, _LANGCHAIN_CONFIG = (
    "opentelemetry.util.genai._conversation_context",
    "langchain_core.runnables.config",
)
_KNOW_CONVERSATIONS = frozenset((_GENAI_CONVERSATION, _LANGCHAIN_CONFIG))
# A character of UTF-8 has at most so many.
_MOST_BYTES = 4


def is_content(name: str) -> bool:
    """Whether an attribute of this name holds inputs, outputs, instructions, documents or definitions, in any dialect."""
    return name in _CONTENT or name.startswith(_CONTENT_BELOW)


class ForeignContent(SpanProcessor):
    """Applies the policy as a span ends: before `on_end` of every processor, whichever was added first."""

    def __init__(self, policy: ContentPolicy) -> None:
        self._policy = policy
        self.active = True

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Gives the span what is known around it: frameworks know conversation and user, calls inside do not."""
        if self.active:
            safe_call(_started, span, parent_context)

    def _on_ending(self, span: Span) -> None:
        if not self.active:
            return
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
        longest = policy.max_bytes // _MOST_BYTES
        for value in attributes.values():  # noqa: SIM110 - a generator costs twice as much
            if value.__class__ is str and len(value) > longest:
                return False
        return True

    def _apply(self, span: Any) -> None:
        attributes = span._attributes  # noqa: SLF001 - ended spans can be changed in no public way
        genai = any(name.startswith(_GENAI) for name in attributes)
        cleaned = self._cleaned(attributes, genai=genai)
        if not _is_conversation(attributes.get(semconv.CONVERSATION_ID, "-")):
            cleaned = {**(attributes if cleaned is None else cleaned)}
            del cleaned[semconv.CONVERSATION_ID]
        if cleaned is not None:
            span._attributes = _bounded(attributes, cleaned)  # noqa: SLF001
        if genai:
            self._clean_events(span)
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
                if self._policy.on_span or name not in _QUOTING
            }
            cleaned = self._cleaned(kept, genai=True, event=event.name.startswith("gen_ai."))
            if cleaned is None and len(kept) < len(event.attributes or {}):
                cleaned = kept
            if cleaned is not None:
                events[index] = Event(event.name, cleaned, event.timestamp)
                changed = True
        if changed:
            span._events = events  # noqa: SLF001

    def _cleaned(self, attributes: Mapping[str, Any], *, genai: bool, event: bool = False) -> dict[str, Any] | None:
        """The attributes as they may leave; None when they may leave as they are."""
        changed: dict[str, Any] = {}
        dropped, cut = [], []
        for name, value in attributes.items():
            content = is_content(name) or (event and name in _EVENT_CONTENT)
            if content and not self._policy.on_span:
                dropped.append(name)
            elif isinstance(value, str):
                allowed, shortened = self._text(name, value, masked=content or genai)
                if allowed != value:
                    changed[name] = allowed
                if shortened:
                    cut.append(name)
            elif isinstance(value, (tuple, list, Mapping)) and genai and self._policy.redactor is not None:
                allowed_value = _like(value, self._policy.redactor.value(value))
                if allowed_value != value and not _STRUCTURE.search(name):
                    changed[name] = allowed_value
        if not changed and not dropped:
            return None
        result = {**{name: value for name, value in attributes.items() if name not in dropped}, **changed}
        if cut:
            result[semconv.TRUNCATED] = sorted({*result.get(semconv.TRUNCATED, ()), *cut})
        return result

    def _text(self, name: str, text: str, *, masked: bool) -> tuple[str, bool]:
        """One text masked and bounded, and whether it was cut; JSON stays JSON."""
        redactor = self._policy.redactor if masked and not _STRUCTURE.search(name) else None
        too_long = (
            len(text) * _MOST_BYTES > self._policy.max_bytes
            and len(text.encode(errors="replace")) > self._policy.max_bytes
        )
        if redactor is None and not too_long:
            return text, False
        decoded = _decoded(text)
        if decoded is None:
            text = redactor.text(text) if redactor is not None else text
            return shorten(text, self._policy.max_bytes) if too_long else (text, False)
        allowed = redactor.value(decoded) if redactor is not None else decoded
        if not too_long and allowed == decoded:
            return text, False
        return to_json(allowed, self._policy.max_bytes)


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


def _like(value: Any, masked: Any) -> Any:
    return tuple(masked) if isinstance(value, tuple) else masked


def _withhold(span: Any) -> None:
    before = span._attributes  # noqa: SLF001
    span._attributes = _bounded(before, {name: value for name, value in before.items() if not is_content(name)})  # noqa: SLF001
    span._events = []  # noqa: SLF001
    span._status = Status(span.status.status_code)  # noqa: SLF001


def _decoded(text: str) -> Any:
    """The list or object that the text is, None where it is none."""
    if not text.startswith(("[", "{")):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def _bounded(before: Any, attributes: dict[str, Any]) -> BoundedAttributes:
    return BoundedAttributes(
        maxlen=getattr(before, "maxlen", None),
        attributes=attributes,
        immutable=True,
        max_value_len=getattr(before, "max_value_len", None),
    )
