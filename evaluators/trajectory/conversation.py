"""A conversation as evaluators get it: turns in order, each a trace with its question and answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import msgspec

from ...queries.trace_tree import Span, role_of
from .trace import Trace, trace_of

MAX_TURNS = 300
"""Turns that an evaluator is given: the first and the latest; how many lay between is in `Conversation.turns_left_out`."""
_FIRST_TURNS = 20


class Turn(msgspec.Struct, frozen=True):
    """One exchange: what the user said and what came back."""

    number: int
    """From 1, counted over all turns, also those left out."""
    trace: Trace

    @property
    def question(self) -> str:
        """What the user said."""
        return self.trace.question

    @property
    def answer(self) -> str:
        """What came back."""
        return self.trace.answer

    def __repr__(self) -> str:
        return f"<Turn {self.number}: {self.trace!r}>"


class Conversation:
    """One conversation. `now` (UTC) is the time at which it is looked at, for `idle_s`."""

    def __init__(
        self,
        conversation_id: str,
        traces: Sequence[Trace],
        *,
        now: datetime | None = None,
        turns_left_out: int = 0,
    ) -> None:
        ordered = sorted((trace for trace in traces if trace.spans), key=lambda trace: trace.tree.start_ns)
        # Of a single exchange whatever it holds is the turn; of many, traces in which nobody was asked anything
        # (an embedding of a document, a title made for the page) are no turns.
        asked = [trace for trace in ordered if trace.question or trace.model_calls] or ordered
        numbered = [Turn(number, trace) for number, trace in enumerate(asked, start=1)]
        kept = numbered
        if len(numbered) > MAX_TURNS:
            kept = [*numbered[:_FIRST_TURNS], *numbered[-(MAX_TURNS - _FIRST_TURNS) :]]
        self.conversation_id = conversation_id
        self.turns: list[Turn] = kept
        self.turns_left_out = turns_left_out + len(numbered) - len(kept)
        self._now = now or datetime.now(UTC)

    def __repr__(self) -> str:
        first = self.turns[0].question if self.turns else ""
        return f"<Conversation {self.conversation_id or '?'}: {len(self.turns)} turns, begins {first[:60]!r}>"

    def __str__(self) -> str:
        lines = [repr(self)]
        for turn in self.turns:
            lines += [f"{turn.number:>3} user: {turn.question[:200]}", f"    answer: {turn.answer[:200]}"]
        return "\n".join(lines)

    @cached_property
    def user_id(self) -> str:
        """The user, '' when no span says it."""
        spans = (span for turn in self.turns for span in turn.trace.spans)
        return next((str(span["user_id"]) for span in spans if span.get("user_id")), "")

    @property
    def started_at(self) -> datetime | None:
        """When the first turn began (UTC); None without turns."""
        return _moment(self.turns[0].trace.tree.start_ns) if self.turns else None

    @property
    def ended_at(self) -> datetime | None:
        """When the last turn ended (UTC); None without turns."""
        return _moment(max(turn.trace.tree.end_ns for turn in self.turns)) if self.turns else None

    @property
    def idle_s(self) -> float:
        """Seconds since the last turn ended, at the time of looking."""
        ended = self.ended_at
        return max(0.0, (self._now - ended).total_seconds()) if ended else 0.0

    @property
    def question(self) -> str:
        """What the conversation began with."""
        return self.turns[0].question if self.turns else ""

    @property
    def answer(self) -> str:
        """What was answered last."""
        return self.turns[-1].answer if self.turns else ""

    @property
    def tokens(self) -> int:
        """Input and output tokens of all turns."""
        return sum(turn.trace.tokens for turn in self.turns)

    @property
    def cost_usd(self) -> float | None:
        """Dollars of all priced model calls; None when there are calls and none has a price."""
        costs = [turn.trace.cost_usd for turn in self.turns]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if known or not costs else None

    @cached_property
    def context(self) -> str:
        """All that the answers could rest on, of all turns."""
        return "\n".join(dict.fromkeys(filter(None, (turn.trace.context for turn in self.turns))))


def conversation_of(
    conversation_id: str, rows: Iterable[Mapping[str, Any]], *, now: datetime | None = None, turns_left_out: int = 0
) -> Conversation:
    """The conversation that rows of `spans` make: one turn per trace."""
    by_trace: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_trace[str(row["trace_id"])].append(row)
    traces = [trace_of(spans) for spans in by_trace.values()]
    return Conversation(conversation_id, traces, now=now, turns_left_out=turns_left_out)


def last_root(conversation: Conversation) -> Span:
    """The root of the last turn, with the model of its first model call: the dimensions of a conversation's score."""
    return representative(conversation.turns[-1].trace) if conversation.turns else {}


def representative(trace: Trace) -> Span:
    """The row whose dimensions a trace's score has: its root, with what only its model calls know filled in."""
    root = dict(trace.root)
    calls = [span for span in trace.spans if role_of(span) == "call"]
    for name in ("request_model", "prompt_name", "prompt_version", "system_hash", "conversation_id", "user_id"):
        if not root.get(name):
            root[name] = next((span[name] for span in (*calls, *trace.spans) if span.get(name)), "")
    return root


def _moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, tz=UTC)
