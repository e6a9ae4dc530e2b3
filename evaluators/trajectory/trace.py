"""A trace as evaluators get it: question, answer, steps, tool calls, agents, tokens, cost; made from rows of spans.

Any dialect will do: the rows hold what the collector made of it, and what frameworks tell twice is counted once.
Everything is computed when it is first asked for, in time that grows with the trace, not with its square.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from ...instrument import semconv
from ...queries.messages import (
    Message,
    answer_in,
    is_empty,
    messages_in,
    parts_of,
    question_in,
    requested_in,
    text_of,
    texts_of,
)
from ...queries.trace_tree import Span, TraceTree, begin_ns, end_ns, role_of, trace_tree
from .evidence import definitions_in, evidence_text
from .steps import Handoff, Step, agent_name, handoffs_of, steps_of
from .tool_calls import ToolCall, tool_calls_of

MAX_SPANS = 5_000
"""Spans of one trace that an evaluator is given; how many more there were is in `Trace.spans_left_out`."""
MIN_QUERY = 8
"""Characters of a search that can be the question of a prompt around it; a word may stand in any."""
_EMBEDDINGS = ("embeddings",)


class Trace:
    """One trace. `spans` are the raw rows, in order of time; everything else is read from them."""

    def __init__(self, spans: Sequence[Span], *, complete: bool = True, spans_left_out: int = 0) -> None:
        ordered = sorted(spans, key=lambda span: (begin_ns(span), -int(span["duration_ns"])))
        self.spans: list[Span] = ordered[:MAX_SPANS]
        self.spans_left_out = spans_left_out + len(ordered) - len(self.spans)
        """Spans beyond MAX_SPANS, the latest: what is computed does not know them."""
        self.complete = complete
        """False when the root never came: what is judged may lack its end."""
        self.tree: TraceTree = trace_tree(self.spans)

    def __repr__(self) -> str:
        facts = [f"{len(self.spans)} spans", f"{len(self.tool_calls)} tool calls", f"{self.duration_s:.2f} s"]
        facts += ["incomplete"] if not self.complete else []
        return f"<Trace {self.trace_id or '?'}: {_clip(self.question)!r} -> {_clip(self.answer)!r}, {', '.join(facts)}>"

    def __str__(self) -> str:
        return "\n".join([repr(self), *map(str, self.steps[:200])])

    @cached_property
    def trace_id(self) -> str:
        """Of the root; '' for a trace without spans."""
        return str(self.root.get("trace_id", "")) if self.spans else ""

    @cached_property
    def root(self) -> Span:
        """The span at the top that came first; {} for a trace without spans."""
        if not self.spans:
            return {}
        tops = [self.tree.spans[span_id] for span_id in self.tree.roots]
        return min(tops, key=lambda span: (bool(span["parent_span_id"]), begin_ns(span)))

    @cached_property
    def question(self) -> str:
        """What was asked: of the root, else of the first agent, workflow or model call; '' when nothing says it."""
        tops = [self.root] if self.spans else []
        tops += [span for span in self._in_order if role_of(span) in ("agent", "workflow")][:1]
        first = next(filter(None, (question_in(span.get("input")) for span in self.model_calls)), "")
        for span in tops:
            if (asked := question_in(span.get("input"))) and _is_exchange(span):
                earlier = texts_of(messages_in(span.get("input")), "user")[:-1]
                # A framework that asks the model again, as after a wrong form, adds messages of the user's role.
                return first if first in earlier else asked
        return self._query_in(first)

    def _query_in(self, prompt: str) -> str:
        """The question in a prompt that was filled in with passages: what was searched for, where the prompt repeats it."""
        for span in self._in_order:
            if role_of(span) == "retrieval":
                query = question_in(span.get("input"))
                if len(query) >= MIN_QUERY and query in prompt:
                    return query
        return prompt

    @cached_property
    def answer(self) -> str:
        """What was answered last: of the root, else of the last agent, else of the last model call with a text."""
        if not self.spans:
            return ""
        if (said := answer_in(self.root.get("output"))) and _is_exchange(self.root):
            return said
        agents = [span for span in self._in_order if role_of(span) in ("agent", "workflow")]
        tops = [span for span in agents if self.tree.depth[span["span_id"]] == min(self.tree.depth[a["span_id"]] for a in agents)] if agents else []  # fmt: skip
        for span in (*reversed(tops), *sorted(self.model_calls, key=end_ns, reverse=True)):
            if said := answer_in(span.get("output")):
                return said
        return ""

    @cached_property
    def steps(self) -> list[Step]:
        """What happened, depth first in order of time; spans that are neither of the kinds nor failed are left out."""
        return steps_of(self.tree, self._outer_calls, self.tool_calls, self._agent_of)

    @cached_property
    def tool_calls(self) -> list[ToolCall]:
        """Each call of a tool once, in the order in which they began."""
        return tool_calls_of(self.tree, self._agent_of)

    @cached_property
    def agents(self) -> list[str]:
        """The agents' names, each once, in the order in which they first acted."""
        named = [agent_name(span) for span in self._in_order if role_of(span) == "agent"]
        named += [agent for span in self._in_order if (agent := self._agent_of.get(str(span["span_id"]), ""))]
        return list(dict.fromkeys(filter(None, named)))

    @cached_property
    def handoffs(self) -> list[Handoff]:
        """Where one agent gave the work to another: hand-off spans and tools, and agents that follow or call each other."""
        return handoffs_of(self.tree, self.tool_calls, self._agent_of)

    @cached_property
    def model_calls(self) -> list[Span]:
        """The model calls that answer (no embeddings), in order of time; a call inside a call is one."""
        return [span for span in self._outer_calls if span.get("operation") not in _EMBEDDINGS]

    @property
    def input_tokens(self) -> int:
        """Of all model calls."""
        return sum(int(span.get("input_tokens") or 0) for span in self._outer_calls)

    @property
    def output_tokens(self) -> int:
        """Of all model calls."""
        return sum(int(span.get("output_tokens") or 0) for span in self._outer_calls)

    @property
    def tokens(self) -> int:
        """Input and output tokens of all model calls."""
        return self.input_tokens + self.output_tokens

    @property
    def cost_usd(self) -> float | None:
        """Dollars of the priced model calls; None when there are calls and none has a price."""
        prices = [span.get("cost_usd") for span in self._outer_calls]
        known = [float(price) for price in prices if price is not None]
        return sum(known) if known or not prices else None

    @property
    def unpriced_calls(self) -> int:
        """Model calls whose cost is unknown: `cost_usd` is without them."""
        return sum(span.get("cost_usd") is None for span in self._outer_calls)

    @property
    def duration_s(self) -> float:
        """From the first span's begin to the last one's end."""
        return self.tree.duration_ns / 1e9

    @cached_property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation that the models had, each message once: `role`, `content` (text), and raw `parts`."""
        return list(self._messages())

    @cached_property
    def context(self) -> str:
        """All that the answer could rest on: what the application stated, what was retrieved, what tools returned."""
        stated = [str((span.get("attributes") or {}).get(semconv.CONTEXT) or "") for span in self.spans]
        found = [evidence_text(text) for text in dict.fromkeys(filter(None, stated))]
        retrieved = (span.get("output") for span in self._in_order if role_of(span) == "retrieval")
        found += [evidence_text(raw) for raw in retrieved if not is_empty(raw)]
        found += [evidence_text(call.result) for call in self.tool_calls if call.result is not None]
        return "\n".join(dict.fromkeys(filter(None, found)))

    @cached_property
    def tool_definitions(self) -> dict[str, dict[str, Any]]:
        """The tools that the models were offered, by name: `description` and `parameters` (JSON Schema)."""
        found: dict[str, dict[str, Any]] = {}
        for span in self.spans:
            for one in definitions_in((span.get("attributes") or {}).get(semconv.TOOL_DEFINITIONS)):
                found.setdefault(one["name"], one)
        return found

    @cached_property
    def errors(self) -> list[Step]:
        """The steps that failed, in order."""
        return [step for step in self.steps if step.error is not None]

    def find(self, *, kind: str = "", name: str = "", agent: str = "", error: bool | None = None) -> list[Step]:
        """The steps of this kind, name (of tool, model, agent or span) and agent; `error` picks failed or sound ones."""
        return [
            step
            for step in self.steps
            if (not kind or step.kind == kind)
            and (not name or step.name == name)
            and (not agent or step.agent == agent)
            and (error is None or (step.error is not None) == error)
        ]

    @cached_property
    def _in_order(self) -> list[Span]:
        return [self.tree.spans[span_id] for span_id in self.tree.order]

    @cached_property
    def _outer_calls(self) -> list[Span]:
        inside: dict[str, bool] = {}
        found = []
        for span_id in self.tree.order:
            span, parent = self.tree.spans[span_id], self.tree.parent(span_id)
            role = role_of(span)
            if role == "call" and not inside.get(parent, False):
                found.append(span)
            # What runs inside a model call and is no agent or tool of its own is a part of that call.
            inside[span_id] = role == "call" or (inside.get(parent, False) and role == "other")
        return sorted(found, key=begin_ns)

    @cached_property
    def _agent_of(self) -> dict[str, str]:
        """The nearest agent around each span, itself included; else what the span says."""
        found: dict[str, str] = {}
        for span_id in self.tree.order:
            span = self.tree.spans[span_id]
            own = agent_name(span) if role_of(span) == "agent" else str(span.get("agent_name") or "")
            found[span_id] = own or found.get(self.tree.parent(span_id), "")
        return found

    def _messages(self) -> Iterator[dict[str, Any]]:
        kept: Counter[str] = Counter()
        for span in self.model_calls:
            here: Counter[str] = Counter()
            for message in (*messages_in(span.get("input")), *messages_in(span.get("output"))):
                key = _message_key(message)
                here[key] += 1
                if here[key] > kept[key]:
                    kept[key] = here[key]
                    yield {
                        "role": str(message.get("role") or ""),
                        "content": text_of(message),
                        "parts": parts_of(message),
                    }


def trace_of(rows: Iterable[Mapping[str, Any]], *, complete: bool | None = None, spans_left_out: int = 0) -> Trace:
    """The trace that rows of the table `spans` make; complete, unless told, when one of them has no parent."""
    spans = [dict(row) for row in rows]
    whole = any(not span["parent_span_id"] for span in spans) if complete is None else complete
    return Trace(spans, complete=whole, spans_left_out=spans_left_out)


def _message_key(message: Message) -> str:
    asked = [(one.name, one.arguments) for one in requested_in([message])]
    said = text_of(message) or ([dict(part) for part in parts_of(message)] if not asked else "")
    role = str(message.get("role") or "")
    return msgspec.json.encode([role, said, asked], enc_hook=str, order="sorted").decode()


def _is_exchange(span: Span) -> bool:
    """Whether a span's input and output can be what a user asked and got: those of a web request or a tool are not."""
    role = role_of(span)
    return role not in ("tool", "retrieval") and not (
        role == "other" and str(span.get("kind") or "") in ("SERVER", "CLIENT")
    )


def _clip(text: str, max_length: int = 60) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= max_length else flat[: max_length - 1] + "…"
