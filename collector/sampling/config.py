"""The `[sampling]` table of evalspan.toml: which spans are kept, with which probability, before they are inserted."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from ...errors import ConfigError

# The brief's default once sampling is switched on; without `[sampling]` everything is kept.
DEFAULT_RATE = 0.05


def _probability(where: str, name: str, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and 0 < value <= 1):
        raise ConfigError(
            f"{where}: {name} = {value} is not a probability in (0, 1]",
            hint="a rate of 0 would leave spans that nothing can stand for; use a small rate such as 0.001",
        )


def _positive(where: str, name: str, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise ConfigError(f"{where}: {name} = {value} must be above 0", hint="leave it out for the default")


class SamplingRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One rule: every condition it names must hold for a trace; the first rule that matches decides.

    Units: `rate` is a probability in (0, 1], `budget_per_s` traces kept per second, `window_s` seconds, `floor` traces
    per segment and window. A rule with `segment` matches every trace that has all the segment's values and raises the
    base rate until the floor is met; the other rules keep everything they match unless `rate` says less.
    """

    name: str
    rate: float | None = None
    errors: bool = False
    slower_than_quantile: float | None = None
    patterns: tuple[str, ...] = ()
    attributes: dict[str, str | bool | int | float] = {}
    segment: tuple[str, ...] = ()
    floor: int = 50
    window_s: float = 3600.0
    budget_per_s: float | None = None
    content: bool = True

    def __post_init__(self) -> None:
        where = f"[[sampling.rules]] {self.name!r}"
        if self.name in ("", "base", "keep"):
            raise ConfigError(f"{where}: the name is empty or taken", hint="'base' and 'keep' are built in")
        if any(not pattern.strip() for pattern in self.patterns):
            raise ConfigError(f"{where}: an empty pattern matches every text", hint="remove it")
        _probability(where, "rate", self.rate)
        if self.slower_than_quantile is not None and not 0 < self.slower_than_quantile < 1:
            raise ConfigError(
                f"{where}: slower_than_quantile = {self.slower_than_quantile} is not between 0 and 1", hint="e.g. 0.95"
            )
        _positive(where, "budget_per_s", self.budget_per_s)
        _positive(where, "window_s", self.window_s)
        _positive(where, "floor", self.floor)
        conditions = (self.errors, self.slower_than_quantile is not None, self.patterns, self.attributes, self.segment)
        if not any(conditions):
            raise ConfigError(
                f"{where} has no condition, so it would match every trace",
                hint="give it errors, slower_than_quantile, patterns, attributes or segment, or set [sampling] rate",
            )


# Errors and the slowest 5 % are kept within a budget: an incident in which every call fails must not fill the store.
DEFAULT_RULES = (
    SamplingRule(name="errors", errors=True, budget_per_s=50),
    SamplingRule(name="slow", slower_than_quantile=0.95, budget_per_s=50),
)


class SamplingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `[sampling]` may say. Without any of it nothing is dropped.

    `mode` is "head" (each request alone) or "tail" (whole traces); naming only a rate or rules means "head".
    `rate` is the probability of traces that no rule matches (0.05 once sampling is on); `budget_per_s` caps them.
    `content_rate` is the probability that a kept trace also keeps its inputs and outputs. `key = "conversation"` decides by the conversation's id: all its traces are kept or dropped together, on every
    collector, and no rule keeps less than `rate`; traces without one are decided by their own id. Tail mode decides a
    trace `root_delay_s` after its root arrived, or `timeout_s` after its first span, and holds at most `max_traces` and
    `max_bytes`.
    """

    mode: Literal["head", "tail"] | None = None
    key: Literal["trace", "conversation"] = "trace"
    rate: float | None = None
    budget_per_s: float | None = None
    content_rate: float = 1.0
    rules: tuple[SamplingRule, ...] | None = None
    root_delay_s: float = 2.0
    timeout_s: float = 60.0
    max_traces: int = 50_000
    max_bytes: int = 256 << 20
    decision_cache: int = 100_000

    def __post_init__(self) -> None:
        _probability("[sampling]", "rate", self.rate)
        _probability("[sampling]", "content_rate", self.content_rate)
        for name in ("budget_per_s", "root_delay_s", "timeout_s", "max_traces", "max_bytes", "decision_cache"):
            _positive("[sampling]", name, getattr(self, name))
        if self.key == "conversation" and self.budget_per_s is not None:
            raise ConfigError(
                '[sampling] key = "conversation" does not go with budget_per_s: a budget changes the probability from '
                "trace to trace, and a conversation must have one",
                hint="set a fixed rate; rules may have budgets",
            )
        names = [rule.name for rule in self.rules or ()]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ConfigError(f"[[sampling.rules]] {doubled[0]!r} is there twice", hint="give each rule its own name")

    @property
    def enabled(self) -> bool:
        """Whether anything can be dropped or cut."""
        return not (
            self.mode is None
            and self.rate in (None, 1.0)
            and self.rules is None
            and self.budget_per_s is None
            and self.content_rate == 1.0
        )

    @property
    def base_rate(self) -> float:
        """The probability of traces that no rule matches."""
        if self.rate is not None:
            return self.rate
        return DEFAULT_RATE if self.mode is not None or self.rules is not None else 1.0

    @property
    def effective_rules(self) -> tuple[SamplingRule, ...]:
        """The rules that are named, or errors and slow ones when none are."""
        return DEFAULT_RULES if self.rules is None else self.rules
