"""How far a rule's worker has come: one plan at a time and the running counts, kept as one row of `cursors`."""

from __future__ import annotations

from typing import Any

import msgspec


class Plan(msgspec.Struct):
    """A closed window of stored spans (milliseconds), and the lot below which they are scored.

    It is saved before the first span of it is scored, so a worker that is killed goes on with the same plan: the same
    spans, the same weight. `weight` is 1/`cutoff`.
    """

    after: int
    until: int
    cutoff: float
    planned_at: int
    inclusion: str = "1"
    """The probability of a span as SQL, which `cutoff` is multiplied with; "1" where all have the same."""

    @property
    def weight(self) -> float:
        """How many matching spans a scored one stands for."""
        return 1 / self.cutoff


class State(msgspec.Struct):
    """What one worker of a rule knows; the counts add up: matched = left out by lot + over_budget + taken."""

    rule: str
    shard: str = "0/1"
    stream: str = "uniform"
    evaluators: list[str] = []
    plan: Plan | None = None
    seen: int = 0
    matched: int = 0
    sampled: int = 0
    over_budget: int = 0
    finished: int = 0  # spans whose evaluations are all written
    queued: int = 0  # spans of the plan that wait, and sampled ones that wait for the next budget
    failed: int = 0  # evaluations given up after retries
    retrying: str = ""  # why the worker is backing off
    problem: str = ""  # why the rule is off
    retired: bool = False  # the rule is no longer configured
    started_ms: int = 0  # the position it began with
    progress_ms: int = 0  # when it last wrote a score, or had nothing to do
    heartbeat_ms: int = 0

    def as_row(self) -> dict[str, Any]:
        """The state as plain values."""
        row: dict[str, Any] = msgspec.to_builtins(self)
        return row


def state_from(row: dict[str, Any]) -> State:
    """The state that a row holds; unknown fields of another version are ignored."""
    return msgspec.convert(row, State)
