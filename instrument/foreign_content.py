"""What may leave of the attributes that other instrumentations write, by our content policy: in every dialect."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from . import semconv
from .content import CONTENT_ATTRIBUTES, ContentPolicy, shorten, to_json

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
    "genkit:input",
    "genkit:output",
    "braintrust.input",
    "braintrust.input_json",
    "braintrust.output",
    "braintrust.output_json",
    "braintrust.expected",
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
QUOTING = frozenset(("exception.message", "exception.stacktrace"))
GENAI = (
    "gen_ai.",
    "openinference.",
    "llm.",
    "traceloop.",
    "pydantic_ai.",
    "ai.",
    "logfire.",
    "langfuse.",
    "mlflow.",
    "langsmith.",
    "braintrust.",
    "genkit:",
)
# Identifiers and vocabulary: what spans are looked up by is not masked, as with spans of ours. Patterns are compiled when
# they are first used: compiling them takes as long as a tenth of switching on.
_STRUCTURE = (
    r"(^|[._])(id|ids|name|names|type|types|model|version|kind|role|roles|reason|reasons|provider|system|encoding"
    r"|mime_type|scope|status|format|formats|tier|fingerprint|address|parent|schema)$"
)
# Names as the dialects spell them, such as gen_ai.prompt.0.content.
_WORDS = r"[A-Za-z][A-Za-z0-9_]*([.][A-Za-z0-9_]+)*"
# A character of UTF-8 has at most so many.
MOST_BYTES = 4


def is_content(name: str) -> bool:
    """Whether an attribute of this name holds inputs, outputs, instructions, documents or definitions, in any dialect."""
    return name in _CONTENT or name.startswith(_CONTENT_BELOW)


class ForeignContent:
    """Applies the policy to attributes of spans, events and log records."""

    def __init__(self, policy: ContentPolicy) -> None:
        self.policy = policy

    def cleaned(
        self, attributes: Mapping[str, Any], *, genai: bool, event: bool = False, kept: bool | None = None
    ) -> dict[str, Any] | None:
        """The attributes as they may leave; None when they may leave as they are.

        `genai`: they are of a model's span; `event`: of an event; `kept`: content stays, by default as on spans.
        """
        kept = self.policy.on_span if kept is None else kept
        changed: dict[str, Any] = {}
        dropped, cut = [], []
        renamed = self._renamed(attributes) if genai else {}
        for name, value in attributes.items():
            content = is_content(name) or (event and name in _EVENT_CONTENT)
            if content and not kept:
                dropped.append(name)
            elif isinstance(value, str):
                allowed, shortened = self._text(name, value, masked=content or genai)
                if allowed != value:
                    changed[name] = allowed
                if shortened:
                    cut.append(name)
            elif isinstance(value, (tuple, list, Mapping, bytes)) and genai and self.policy.redactor is not None:
                allowed_value = _like(value, self.policy.redactor.value(value))
                if allowed_value != value and not re.search(_STRUCTURE, name):
                    changed[name] = allowed_value
        if not changed and not dropped and not renamed:
            return None
        result = {**{name: value for name, value in attributes.items() if name not in dropped}, **changed}
        if renamed:
            result = {renamed.get(name, name): value for name, value in result.items()}
        if cut:
            result[semconv.TRUNCATED] = sorted({*result.get(semconv.TRUNCATED, ()), *cut})
        return result

    def _renamed(self, names: Iterable[str]) -> dict[str, str]:
        """Names that are not of a dialect's, masked: a library may put what was said into one."""
        if self.policy.redactor is None:
            return {}
        masked = {name: self.name(name) for name in names}
        return {name: other for name, other in masked.items() if other != name}

    def name(self, name: str) -> str:
        """The name of an attribute or an event, masked unless it is a word of a dialect's."""
        redactor = self.policy.redactor
        return name if redactor is None or re.fullmatch(_WORDS, name) else redactor.text(name)

    def _text(self, name: str, text: str, *, masked: bool) -> tuple[str, bool]:
        """One text masked and bounded, and whether it was cut; JSON stays JSON."""
        redactor = self.policy.redactor if masked and not re.search(_STRUCTURE, name) else None
        too_long = (
            len(text) * MOST_BYTES > self.policy.max_bytes
            and len(text.encode(errors="replace")) > self.policy.max_bytes
        )
        if redactor is None and not too_long:
            return text, False
        decoded = _decoded(text)
        if decoded is None:
            text = redactor.text(text) if redactor is not None else text
            return shorten(text, self.policy.max_bytes) if too_long else (text, False)
        allowed = redactor.value(decoded) if redactor is not None else decoded
        if not too_long and allowed == decoded:
            return text, False
        return to_json(allowed, self.policy.max_bytes)


def _like(value: Any, masked: Any) -> Any:
    return tuple(masked) if isinstance(value, tuple) else masked


def _decoded(text: str) -> Any:
    """The list or object that the text is, None where it is none."""
    if not text.startswith(("[", "{")):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None
