"""What a rule scores, unit by unit: spans, traces or conversations, each found, read and shown to evaluators in its way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from ...queries.span_scoring_store import NO_PASSAGES, TEXT_ANSWER, Counts, Scope, SpanScoringStore, excluding
from ...queries.unit_scoring_store import MAX_CONVERSATION_SPANS, MAX_SPANS, UnitScope, UnitScoringStore, WholeUnit
from ..arguments import span_arguments
from ..contract import Unit, needs_answer
from ..trajectory.conversation import Conversation, last_root, representative
from ..trajectory.stored import read_conversation
from ..trajectory.trace import Trace, trace_of
from .config import ReadyRule

PAGE_SPANS = 20_000
"""Spans that are read at once for the traces of a page."""
UNKNOWN_PROBABILITY = (
    "its traces were sampled one by one, so nobody knows with which probability the conversation is here: set "
    '[sampling] key = "conversation", or keep everything'
)


class Item(msgspec.Struct, frozen=True):
    """One unit to score."""

    row: Mapping[str, Any]
    """The span whose dimensions the scores get: of a trace its root, of a conversation the root of its last turn."""
    key: tuple[str, str]
    """Tells units apart within a rule."""
    arguments: Callable[[], dict[str, Any]]
    """What evaluators are given."""
    refused: str = ""
    """Why it cannot be scored by anybody: every evaluator leaves it unscored with this reason."""
    details: dict[str, Any] = {}
    """What is said of the unit beside each score."""


class Units(Protocol):
    """The units of one rule, for one worker."""

    @property
    def unit(self) -> Unit:
        """Which kind they are."""

    def counts(self, after: int, until: int, probability: float) -> Counts:
        """How many a window (milliseconds) holds."""

    def cutoff(self, after: int, until: int, budget: int) -> float | None:
        """The sampling hash of the first one beyond the budget."""

    def page(self, window: tuple[int, int], cutoff: float, done: Mapping[str, Any], size: int) -> list[Item]:
        """The next ones of a plan that are not scored."""

    def superseded(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Rows that delete what these evaluations replace."""


def units_of(
    ready: ReadyRule, store: SpanScoringStore, *, earlier: Sequence[ReadyRule] = (), shard: int = 0, shards: int = 1
) -> Units:
    """The units of a rule, without those that an earlier uniform rule scores by the same evaluator.

    With two probabilities a unit's weight would be a guess.
    """
    rule, unit = ready.rule, ready.unit
    names = {one.name for one in ready.suite}
    taken = [
        (other.rule.project, other.rule.where)
        for other in earlier
        if rule.stream == other.rule.stream == "uniform"
        and other.unit == unit
        and names & {one.name for one in other.suite}
    ]
    if unit == "span":
        where = excluding(rule.where, rule.project, taken)
        if all(needs_answer(one) for one in ready.suite):
            where = f"{where} AND {TEXT_ANSWER}"
        return SpanUnits(store, Scope(rule.project, where, shard, shards))
    scored = excluding("1", rule.project, taken)
    late_ms = int(max(0.0, rule.root_timeout_s - rule.quiet_s) * 1000)
    scope = UnitScope(unit, rule.project, rule.where, f"NOT ({scored})", shard, shards, late_ms)
    return TraceUnits(store, scope) if unit == "trace" else ConversationUnits(store, scope)


class SpanUnits:
    """Spans: the row is the unit."""

    unit: Unit = "span"

    def __init__(self, store: SpanScoringStore, scope: Scope) -> None:
        self._store, self._scope = store, scope

    def allocate(self, inclusion: str, stratum: str) -> None:
        """Draws each span with a probability of its own, as SQL, from now on."""
        self._scope = self._scope._replace(inclusion=inclusion, stratum=stratum)

    def counts(self, after: int, until: int, probability: float) -> Counts:
        """How many spans a window holds."""
        return self._store.counts(self._scope, after, until, probability)

    def cutoff(self, after: int, until: int, budget: int) -> float | None:
        """The sampling hash of the first span beyond the budget."""
        return self._store.cutoff(self._scope, after, until, budget)

    def page(self, window: tuple[int, int], cutoff: float, done: Mapping[str, Any], size: int) -> list[Item]:
        """The next spans, with what was retrieved in their traces."""
        rows = self._store.waiting(self._scope, window, cutoff, done, size)
        passages = self._store.passages(rows)

        def arguments(row: dict[str, Any]) -> Callable[[], dict[str, Any]]:
            found = passages.get((row["project"], row["trace_id"]), NO_PASSAGES)
            return lambda: span_arguments(row, found)

        def details(row: dict[str, Any]) -> dict[str, Any]:
            if "inclusion" not in row:
                return {}
            probability = min(1.0, cutoff * float(row.pop("inclusion")))
            return {"probability": f"{probability:.9g}", "stratum": str(row.pop("stratum"))}

        about = [details(row) for row in rows]  # first: the columns of the draw are not the span's
        return [
            Item(row, (str(row["trace_id"]), str(row["span_id"])), arguments(row), details=more)
            for row, more in zip(rows, about, strict=True)
        ]

    def superseded(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """A span never changes: its evaluation has one place."""
        del rows
        return []


class _StoredUnits:
    """What traces and conversations share: the store says when one is ready, and which one the budget ends at."""

    unit: WholeUnit

    def __init__(self, store: SpanScoringStore, scope: UnitScope) -> None:
        self._store, self._scope = UnitScoringStore(store.store), scope

    def counts(self, after: int, until: int, probability: float) -> Counts:
        """How many units became ready in a window."""
        return self._store.counts(self._scope, after, until, probability)

    def cutoff(self, after: int, until: int, budget: int) -> float | None:
        """The sampling hash of the first unit beyond the budget."""
        return self._store.cutoff(self._scope, after, until, budget)

    def superseded(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Scores of a trace whose root came after all, or of a conversation from before it went on."""
        return self._store.superseded(self.unit, rows)


class TraceUnits(_StoredUnits):
    """Traces: all spans of one, once its root has come or is overdue."""

    unit: WholeUnit = "trace"

    def page(self, window: tuple[int, int], cutoff: float, done: Mapping[str, Any], size: int) -> list[Item]:
        """The next traces, as many as there is room for at once."""
        found = _fitting(self._store.waiting(self._scope, window, cutoff, done, size))
        spans = self._store.spans_of([(str(row["project"]), str(row["trace_id"])) for row in found])
        return [_trace_item(row, spans[str(row["project"]), str(row["trace_id"])]) for row in found]


class ConversationUnits(_StoredUnits):
    """Conversations: all turns of one that has been idle long enough; again when it goes on."""

    unit: WholeUnit = "conversation"

    def page(self, window: tuple[int, int], cutoff: float, done: Mapping[str, Any], size: int) -> list[Item]:
        """The next conversations; they are read one by one, because one may be long."""
        found = _fitting(self._store.waiting(self._scope, window, cutoff, done, size), MAX_CONVERSATION_SPANS)
        return [self._item(row) for row in found]

    def _item(self, row: Mapping[str, Any]) -> Item:
        project, name = str(row["project"]), str(row["conversation"])
        conversation = read_conversation(self._store, project, name)
        dimensions = {**last_root(conversation), "project": project, "conversation_id": name}
        weight = row["known_weight"]
        known = weight is not None
        # The weight of the conversation, not of its last trace: a rule may have raised that one's probability.
        dimensions["sample_weight"] = float(weight) if known else 1.0
        turns = len(conversation.turns) + conversation.turns_left_out
        return Item(
            dimensions,
            (project, name),
            lambda: conversation_arguments(conversation),
            "" if known else UNKNOWN_PROBABILITY,
            {"turns": turns},
        )


def trace_arguments(trace: Trace) -> dict[str, Any]:
    """What an evaluator of traces is given online."""
    return {"input": trace.question, "output": trace.answer, "context": trace.context or None, "trace": trace}


def conversation_arguments(conversation: Conversation) -> dict[str, Any]:
    """What an evaluator of conversations is given online."""
    return {
        "input": conversation.question,
        "output": conversation.answer,
        "context": conversation.context or None,
        "conversation": conversation,
    }


def _trace_item(row: Mapping[str, Any], spans: Sequence[Mapping[str, Any]]) -> Item:
    left_out = max(0, int(row["span_count"]) - len(spans))
    trace = trace_of(spans, complete=int(row["root_count"]) > 0, spans_left_out=left_out)
    details: dict[str, Any] = {} if trace.complete else {"incomplete": True}
    if trace.spans_left_out:
        details["spans_left_out"] = trace.spans_left_out
    dimensions = {**representative(trace), "project": row["project"], "trace_id": row["trace_id"]}
    return Item(dimensions, (str(row["trace_id"]), ""), lambda: trace_arguments(trace), "", details)


def _fitting(rows: list[dict[str, Any]], most: int = PAGE_SPANS) -> list[dict[str, Any]]:
    """The first units whose spans fit together; always one."""
    total = 0
    kept: list[dict[str, Any]] = []
    for row in rows:
        total += min(int(row["span_count"]), MAX_SPANS)
        if kept and total > most:
            break
        kept.append(row)
    return kept
