"""Holds judges to a budget of tokens and dollars, checked before each call; what a call costs is recorded after it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from ...errors import EvalspanError
from ..contract import UnscoredCause
from .spending_journal import SpendingJournal


class BudgetSpent(EvalspanError):
    """A judge call would go over the budget, or its cost cannot be known; it was not made."""

    cause = UnscoredCause.OVER_BUDGET


class Spending(msgspec.Struct):
    """What was used so far."""

    calls: int = 0
    cached: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    unpriced_calls: int = 0


class Budget:
    """A limit on tokens (in and out together) and dollars, shared by all judges that it is given to.

    A model without a known price is not free: under a dollar limit it is refused. With a journal, what an unfinished run
    spent before counts as spent.
    """

    def __init__(
        self, *, max_tokens: int | None = None, max_usd: float | None = None, journal: SpendingJournal | None = None
    ) -> None:
        self.max_tokens = max_tokens
        self.max_usd = max_usd
        self.spent = Spending()
        self._journal = journal
        if journal is not None:
            earlier = journal.earlier
            self.spent = Spending(
                calls=earlier.calls,
                input_tokens=earlier.input_tokens,
                output_tokens=earlier.output_tokens,
                usd=earlier.usd or 0.0,
                unpriced_calls=earlier.unpriced,
            )
        self._reserved_tokens = 0
        self._reserved_usd = 0.0
        self._lock = threading.Lock()

    @contextmanager
    def reserve(self, model: str, tokens: int, usd: float | None) -> Iterator[None]:
        """Reserves what a call may cost at most while it runs. Raises BudgetSpent when that is no longer there."""
        with self._lock:
            self._check(model, tokens, usd)
            self._reserved_tokens += tokens
            self._reserved_usd += usd or 0.0
            number = self._journal.begin(tokens, usd) if self._journal is not None else 0
        try:
            yield
        finally:
            with self._lock:
                if self._journal is not None:
                    self._journal.end(number)
                self._reserved_tokens -= tokens
                self._reserved_usd -= usd or 0.0

    def record(self, input_tokens: int, output_tokens: int, usd: float | None) -> None:
        """Adds what a call used."""
        with self._lock:
            self.spent.calls += 1
            self.spent.input_tokens += input_tokens
            self.spent.output_tokens += output_tokens
            self.spent.usd += usd or 0.0
            self.spent.unpriced_calls += usd is None
            if self._journal is not None:
                self._journal.spent(input_tokens, output_tokens, usd)

    def record_cached(self) -> None:
        """Counts an answer that came from the cache and cost nothing."""
        with self._lock:
            self.spent.cached += 1

    def _check(self, model: str, tokens: int, usd: float | None) -> None:
        used = self.spent.input_tokens + self.spent.output_tokens + self._reserved_tokens
        if self.max_tokens is not None and used + tokens > self.max_tokens:
            raise BudgetSpent(
                f"the token budget of {self.max_tokens:,} is spent ({used:,} used, the next call may take {tokens:,})",
                hint="raise max_tokens, or score fewer outputs",
            )
        if self.max_usd is None:
            return
        if usd is None:
            raise BudgetSpent(
                f"the price of {model!r} is unknown, so a dollar budget cannot hold it",
                hint="give the judge price=(dollars per million input tokens, per million output tokens)",
            )
        if self.spent.usd + self._reserved_usd + usd > self.max_usd:
            raise BudgetSpent(
                f"the budget of ${self.max_usd:g} is spent (${self.spent.usd:.4f} used, the next call may cost ${usd:.4f})",
                hint="raise max_usd, or score fewer outputs",
            )


_current: ContextVar[Budget | None] = ContextVar("evalspan_judge_budget", default=None)


@contextmanager
def use_budget(budget: Budget) -> Iterator[Budget]:
    """Every judge without a budget of its own spends from this one inside the block."""
    token = _current.set(budget)
    try:
        yield budget
    finally:
        _current.reset(token)


def current_budget() -> Budget | None:
    """The budget of the surrounding block, if any."""
    return _current.get()
