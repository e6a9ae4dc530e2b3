"""The steps of a trace in order, and where one agent handed the work to another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from ...queries.messages import decode
from ...queries.trace_tree import Span, TraceTree, begin_ns, role_of
from .tool_calls import ToolCall, error_of, tool_name

StepKind = Literal["call", "tool", "retrieval", "agent", "workflow", "handoff", "error"]
_HANDOFF_STARTS = ("handoff", "hand_off", "hand-off", "transfer_to_", "handoff_to_", "delegate_to_")
_HANDOFF_TOOLS = ("transfer_to_", "handoff_to_", "hand_off_to_", "delegate_to_")


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a trace: a model call, tool call, retrieval, agent, hand-off, or an error outside of these."""

    index: int
    kind: StepKind
    name: str
    """The model's, tool's or agent's name, else the span's."""
    span_id: str
    """Of a tool call that has no span, the model call's that asked for it."""
    parent: int | None
    """Index of the step around it, None at the top."""
    depth: int
    """Steps around it."""
    started_s: float
    """Seconds after the trace began."""
    duration_s: float
    error: str | None = None
    agent: str = ""
    tokens: int = 0
    cost_usd: float | None = None
    input: Any = None
    """Data where it is JSON, else text, as stored."""
    output: Any = None

    def __str__(self) -> str:
        ending = f"  ERROR {self.error}" if self.error is not None else ""
        return f"{self.index:>3} {'  ' * min(self.depth, 12)}{self.kind} {self.name} {self.duration_s:.2f}s{ending}"


class Handoff(msgspec.Struct, frozen=True):
    """One agent gave the work to another."""

    source: str
    """'' when no agent is known before."""
    target: str
    span_id: str


def steps_of(
    tree: TraceTree, calls: Sequence[Span], tool_calls: Sequence[ToolCall], agent_of: Mapping[str, str]
) -> list[Step]:
    """The steps, depth first in order of time; `calls` are the model calls that count, `tool_calls` each call once."""
    outer = {str(span["span_id"]) for span in calls}
    tools = {call.span_id for call in tool_calls if call.duration_s is not None}
    without_span: dict[str, list[ToolCall]] = defaultdict(list)
    for call in tool_calls:
        if call.duration_s is None:
            without_span[call.span_id].append(call)
    passed_on = _passed_on(tree)
    place: dict[str, int] = {}  # the step that a span is or lies in
    steps: list[Step] = []
    for span_id in tree.order:
        span, above = tree.spans[span_id], place.get(tree.parent(span_id))
        kind = _kind(span, counts=span_id in outer or span_id in tools, is_origin=span_id not in passed_on)
        if kind is None:
            if above is not None:
                place[span_id] = above
            continue
        place[span_id] = len(steps)
        depth = 0 if above is None else steps[above].depth + 1
        steps.append(_step(tree, len(steps), kind, span, above, depth, agent_of))
        for call in without_span.get(span_id, ()):
            steps.append(_tool_step(len(steps), call, above, depth))
    return steps


def handoffs_of(tree: TraceTree, tool_calls: Sequence[ToolCall], agent_of: Mapping[str, str]) -> list[Handoff]:
    """Hand-off spans and tools, and agents that follow or call each other, each change of hands once per place."""
    found: list[Handoff] = []
    for span_id in tree.order:
        target = _handoff_target(tree.spans[span_id])
        if target:
            found.append(Handoff(agent_of.get(tree.parent(span_id), ""), target, span_id))
    told = {_plain_name(one.target) for one in found}
    for call in tool_calls:
        target = handoff_tool_target(call)
        if target and _plain_name(target) not in told:
            found.append(Handoff(call.agent, target, call.span_id))
    told = {_plain_name(one.target) for one in found}
    found += [one for one in _agents_that_follow(tree, agent_of) if _plain_name(one.target) not in told]
    place = {span_id: at for at, span_id in enumerate(tree.order)}
    return sorted(found, key=lambda one: (begin_ns(tree.spans[one.span_id]), place[one.span_id]))


def agent_name(span: Span) -> str:
    """An agent's name: the attribute, else what follows `invoke_agent` in the span's own name."""
    named = str(span.get("agent_name") or "")
    return named or str(span.get("name") or "").removeprefix("invoke_agent").strip()


def handoff_tool_target(call: ToolCall) -> str:
    """The agent that a tool call hands over to, '' when it is an ordinary tool."""
    for start in _HANDOFF_TOOLS:
        if call.name.lower().startswith(start):
            return call.name[len(start) :]
    if "delegate" in call.name.lower() and isinstance(call.arguments, Mapping):
        return str(call.arguments.get("coworker") or "")
    return ""


def _agents_that_follow(tree: TraceTree, agent_of: Mapping[str, str]) -> Iterator[Handoff]:
    """An agent inside another one was called by it; an agent after another one at the same place followed it."""
    last: dict[str, str] = {}
    for span_id in tree.order:
        span = tree.spans[span_id]
        if role_of(span) != "agent":
            continue
        parent, name = tree.parent(span_id), agent_name(span)
        source = last.get(parent, "") or agent_of.get(parent, "")
        last[parent] = name
        if source and name and source != name:
            yield Handoff(source, name, span_id)


def _passed_on(tree: TraceTree) -> set[str]:
    """The spans that only pass on the failure of a span below."""
    found: set[str] = set()
    for span_id in reversed(tree.order):
        if span_id in found or error_of(tree.spans[span_id]) is not None:
            parent = tree.parent(span_id)
            if parent:
                found.add(parent)
    return found


def _step(
    tree: TraceTree, index: int, kind: StepKind, span: Span, above: int | None, depth: int, agent_of: Mapping[str, str]
) -> Step:
    is_call, cost = kind == "call", span.get("cost_usd")
    return Step(
        index=index,
        kind=kind,
        name=_name(kind, span),
        span_id=str(span["span_id"]),
        parent=above,
        depth=depth,
        started_s=(begin_ns(span) - tree.start_ns) / 1e9,
        duration_s=int(span["duration_ns"]) / 1e9,
        error=error_of(span),
        agent=agent_of.get(str(span["span_id"]), ""),
        tokens=int(span.get("input_tokens") or 0) + int(span.get("output_tokens") or 0) if is_call else 0,
        cost_usd=float(cost) if is_call and cost is not None else None,
        input=decode(span.get("input")),
        output=decode(span.get("output")),
    )


def _tool_step(index: int, call: ToolCall, above: int | None, depth: int) -> Step:
    return Step(
        index=index,
        kind="tool",
        name=call.name,
        span_id=call.span_id,
        parent=above,
        depth=depth,
        started_s=call.started_s,
        duration_s=0.0,
        error=call.error,
        agent=call.agent,
        input=call.arguments,
        output=call.result,
    )


def _name(kind: StepKind, span: Span) -> str:
    named: Any = None
    if kind == "call":
        named = span.get("response_model") or span.get("request_model")
    elif kind == "tool":
        named = tool_name(span)
    elif kind == "handoff":
        named = _handoff_target(span)
    elif kind == "agent":
        named = agent_name(span)
    return str(named or span.get("name") or kind)


def _kind(span: Span, *, counts: bool, is_origin: bool) -> StepKind | None:
    """The kind of a step, None for a span that is none: glue, or a model or tool call that another span tells already."""
    role = role_of(span)
    if _handoff_target(span):
        return "handoff"
    if role == "call":
        return "call" if counts else None
    if role == "tool":
        return "tool" if counts else None
    if role == "retrieval":
        return "retrieval"
    if role == "agent":
        return "agent"
    if role == "workflow":
        return "workflow"
    return "error" if is_origin and error_of(span) is not None else None


def _handoff_target(span: Span) -> str:
    """The agent that a hand-off span names, '' when it is none."""
    name = str(span.get("name") or "")
    lower = name.lower()
    if not lower.startswith(_HANDOFF_STARTS) or role_of(span) in ("call", "agent"):
        return ""
    attributes = span.get("attributes") or {}
    named = str(attributes.get("gen_ai.handoff.to_agent") or attributes.get("to_agent") or "")
    for separator in ("transfer_to_", "handoff_to_", "delegate_to_", " to ", "->", ":"):
        if not named and separator in lower:
            named = name[lower.index(separator) + len(separator) :]
    return named.strip() or str(span.get("agent_name") or "")


def _plain_name(name: str) -> str:
    """A name as it is compared: agents are called "Refund Agent" and their tools transfer_to_refund_agent."""
    return "".join(sign for sign in name.lower() if sign.isalnum())
