"""The `[evaluation]` table of evalspan.toml: which stored spans are scored online, by what, how many, for how much."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from ...errors import ConfigError
from ...queries.rule_tables import RuleProblem, read_tables, source_location
from ..contract import Evaluator, Unit, unit_of
from ..loading import load_object
from ..runner import check_suite

_TABLE = "evaluation.rules"


class EvaluationRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One rule. A span is scored by the first uniform rule that matches it for an evaluator.

    `probability = "auto"` learns where calls tell most: strata by segment, model, prompt version and the verdict of the
    cheap evaluator `proxy`, probabilities from `min_probability` up by the variance of the scores in each, as few calls a
    day as give the mean a 95 % interval of +-`interval`, within the budget. `where` is a SQL condition over the columns of `spans`; `probability` is the share of the matching spans that is
    scored, decided by the hash of the span id. Budgets are evaluations and dollars per UTC hour and day.
    `backfill_from` (ISO 8601) starts with spans stored since then instead of now. `timeout_s` is for one evaluation, the
    evaluator's own when left out. `quiet_s` waits after a span is stored; with `parent_span_id = ''` in `where` that is
    after the trace's end. `unit` is what is scored, as the evaluators say when it is left out: "span"; "trace", once its
    root is stored and `quiet_s` have passed, or `root_timeout_s` after its first span when no root comes (then marked as
    incomplete); "conversation", when no span of it was stored for `idle_s`, and again when it goes on. A trace or a
    conversation matches `where` when one of its spans does, and the hash is that of its id. `stream = "targeted"` harvests failures (errors, slow calls, thumbs-down): its rows get
    weight 0, so they enter no number.
    """

    name: str
    evaluators: tuple[str, ...]
    where: str = "role = 'call' AND operation != 'embeddings'"
    project: str = "default"
    probability: float | Literal["auto"] = 1.0
    interval: float | None = None
    min_probability: float = 0.01
    proxy: str = ""
    stream: Literal["uniform", "targeted"] = "uniform"
    budget_per_hour: int | None = None
    budget_per_day: int | None = None
    budget_usd_per_hour: float | None = None
    budget_usd_per_day: float | None = None
    backfill_from: str | None = None
    unit: Unit | None = None
    quiet_s: float = 5.0
    idle_s: float = 1800.0
    root_timeout_s: float = 600.0
    timeout_s: float | None = None
    concurrency: int = 16
    segment: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]{1,80}", self.name):
            raise ValueError(f"name {self.name!r} must be 1 to 80 letters, digits, '_', '.' or '-'")
        if not self.evaluators:
            raise ValueError("evaluators is empty: at least one is needed, such as checks:SUITE")
        self._check_probability()
        for field in ("budget_per_hour", "budget_per_day", "budget_usd_per_hour", "budget_usd_per_day"):
            value = getattr(self, field)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{field} = {value} must be above 0; leave it out for no limit")
        for field in ("timeout_s", "concurrency"):
            value = getattr(self, field)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{field} = {value} must be above 0")
        for field in ("quiet_s", "idle_s", "root_timeout_s"):
            if not 0 <= getattr(self, field) < math.inf:
                raise ValueError(f"{field} = {getattr(self, field)} must be 0 or a number of seconds above it")
        _ = self.backfill_ms

    def _check_probability(self) -> None:
        if self.probability == "auto":
            self._check_auto()
        elif self.interval is not None or self.proxy:
            raise ValueError('interval and proxy are for probability = "auto"')
        elif not 0 < self.probability <= 1:
            raise ValueError(f"probability = {self.probability} is not in (0, 1]")
        if not 0 < self.min_probability <= 1:
            raise ValueError(f"min_probability = {self.min_probability} is not in (0, 1]")

    def _check_auto(self) -> None:
        if self.interval is None and self.budget_per_day is None and self.budget_per_hour is None:
            raise ValueError(
                'probability = "auto" needs interval (a half width, e.g. 0.02), budget_per_day or budget_per_hour'
            )
        if self.interval is not None and not 0 < self.interval < math.inf:
            raise ValueError(f"interval = {self.interval} must be above 0")
        if self.unit not in (None, "span") or self.stream != "uniform":
            raise ValueError(
                'probability = "auto" is for uniform rules over spans: strata are known when a span ends, those of a trace or '
                "conversation only when it is complete; give this rule a fixed probability"
            )

    @property
    def share(self) -> float:
        """`probability` as a number; under "auto" 1, which the learned probabilities are a part of."""
        return 1.0 if self.probability == "auto" else self.probability

    @property
    def backfill_ms(self) -> int | None:
        """`backfill_from` in milliseconds since 1970; a date is its first moment in UTC."""
        if self.backfill_from is None:
            return None
        try:
            when = datetime.fromisoformat(self.backfill_from)
        except ValueError:
            raise ValueError(
                f"backfill_from = {self.backfill_from!r} is not an ISO 8601 date, e.g. 2026-11-01"
            ) from None
        return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)


class EvaluationConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `[evaluation]` may say. Rules are read one by one, so that a bad one does not stop the others.

    `in_service = false` leaves the work to `evalspan score --follow` processes; `shard = "0/3"` is this service's share
    where several services work on one store.
    """

    rules: tuple[dict[str, Any], ...] = ()
    in_service: bool = True
    shard: str = "0/1"
    poll_s: float = 2.0
    stopped_after_s: float = 900.0
    aggregates_every_s: int = 60
    """Seconds of scores that one JSON line on stderr sums up, a metric's n, mean, p10, failure rate, intervals and share
    unscored; 0: no lines."""

    def __post_init__(self) -> None:
        for field in ("poll_s", "stopped_after_s"):
            if not 0 < getattr(self, field) < math.inf:
                raise ConfigError(f"[evaluation] {field} = {getattr(self, field)} must be above 0")
        if self.aggregates_every_s < 0:
            raise ConfigError(f"[evaluation] aggregates_every_s = {self.aggregates_every_s} must be 0 or above")
        if not re.fullmatch(r"\d+/\d+", self.shard) or self.share[0] >= self.share[1]:
            raise ConfigError(f"[evaluation] shard = {self.shard!r} is not I/N with I below N", hint="e.g. 0/2 and 1/2")

    @property
    def share(self) -> tuple[int, int]:
        """`shard` as two numbers: which one, of how many."""
        index, _, count = self.shard.partition("/")
        return int(index), int(count)


class ReadyRule(msgspec.Struct, frozen=True):
    """A rule that was checked, with its evaluators loaded."""

    rule: EvaluationRule
    suite: list[Evaluator]
    source_location: str = "[evaluation]"
    """File and line of its condition."""

    @property
    def unit(self) -> Unit:
        """What it scores: all of its evaluators agree."""
        return self.rule.unit or unit_of(self.suite[0])


def read_rules(raw: Sequence[dict[str, Any]], *, path: Path | None = None) -> tuple[list[ReadyRule], list[RuleProblem]]:
    """The rules that can run, and a problem for each that cannot; `path` is where they were written."""

    def make(rule: EvaluationRule, index: int) -> ReadyRule:
        return ReadyRule(rule, load_evaluators(rule), source_location(path, _TABLE, index, "where"))

    return read_tables(
        EvaluationRule, raw, _TABLE, path, prepare=_prepared, make=make, made_from="evaluators", noun="rule"
    )


def load_evaluators(rule: EvaluationRule) -> list[Evaluator]:
    """The evaluators that the rule names. Raises UsageError when one cannot be loaded or is none."""
    found: list[Evaluator] = []
    for reference in rule.evaluators:
        loaded = load_object(reference)
        found += loaded if isinstance(loaded, list | tuple) else [loaded]
    suite = check_suite(found, where=f"rule {rule.name!r}")
    _check_units(rule, suite)
    return suite


def _check_units(rule: EvaluationRule, suite: Sequence[Evaluator]) -> None:
    """Raises ConfigError where the evaluators and the rule speak of different units.

    An evaluator of answers can judge those of traces and conversations too, when the rule says so.
    """
    units = {unit_of(one): one.name for one in suite}
    if rule.unit is None and len(units) > 1:
        said = ", ".join(f"{name} judges a {unit}" for unit, name in units.items())
        raise ConfigError(
            f"its evaluators judge different units: {said}", hint="one rule for each unit, or write unit ="
        )
    for unit, name in units.items():
        if rule.unit is not None and unit not in ("span", rule.unit):
            raise ConfigError(f"unit = {rule.unit!r}, but {name} judges a {unit}", hint=f'write unit = "{unit}"')


def _prepared(values: dict[str, Any]) -> dict[str, Any]:
    if isinstance(values.get("evaluators"), str):
        values = {**values, "evaluators": [values["evaluators"]]}
    if isinstance(values.get("backfill_from"), date):  # TOML has dates of its own
        values = {**values, "backfill_from": values["backfill_from"].isoformat()}
    return values
