"""Calibrates an evaluator against people: how often it catches what they fail, where to cut its score, whether it may gate."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from ...errors import UsageError
from ..statistics import Interval, cohen_kappa, krippendorff_alpha, prediction_powered_mean, proportion_interval
from ..statistics import youden_threshold as youden

MIN_LABELS = 50  # H08: what a detector needs before production
MIN_PER_CLASS = 10
QUARTER_DAYS = 91
PPI_LABELS = 40
MAX_LABELS_ASKED = 1000
"""More than these of one class nobody will label: then the answer is that it may not gate."""


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One human label beside what the evaluator said; `good` and `passed` are verdicts, None where there is none."""

    item: str
    label: float
    good: bool | None = None
    rater: str = ""
    score: float | None = None
    passed: bool | None = None
    at: datetime | None = None


class Rate(msgspec.Struct, frozen=True):
    """A share with its 95 % interval and the count it rests on."""

    value: float | None
    interval: Interval
    n: int


class Confusion(msgspec.Struct, frozen=True):
    """Positive is a failure: `caught` both fail it, `false_alarms` only the evaluator, `missed` only the people."""

    caught: int
    false_alarms: int
    missed: int
    cleared: int

    @property
    def precision(self) -> Rate:
        """Of what the evaluator fails, how much people fail."""
        return _rate(self.caught, self.caught + self.false_alarms)

    @property
    def recall(self) -> Rate:
        """Of what people fail, how much the evaluator fails."""
        return _rate(self.caught, self.caught + self.missed)

    @property
    def specificity(self) -> Rate:
        """Of what people find good, how much the evaluator passes."""
        return _rate(self.cleared, self.cleared + self.false_alarms)

    @property
    def informedness(self) -> Interval | None:
        """95 % interval of Youden's J = recall + specificity - 1, 0 for any evaluator that ignores what it judges.

        Newcombe's method for the sum of two independent proportions (Statistics in Medicine 17, 1998), on Wilson's
        intervals. None without labels of both kinds.
        """
        recall, specificity = self.recall, self.specificity
        if recall.value is None or specificity.value is None:
            return None
        j = recall.value + specificity.value - 1
        below = math.hypot(recall.value - recall.interval.low, specificity.value - specificity.interval.low)
        above = math.hypot(recall.interval.high - recall.value, specificity.interval.high - specificity.value)
        return Interval(max(-1.0, j - below), min(1.0, j + above))

    @property
    def f1(self) -> Rate:
        """F1; its interval is that of caught / (caught + wrong), which F1 grows with."""
        share = _rate(self.caught, self.caught + self.false_alarms + self.missed)
        value = None if share.value is None else 2 * share.value / (1 + share.value)
        return Rate(value, Interval(*(2 * end / (1 + end) for end in share.interval)), share.n)


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """What the labels say of the evaluator; `verdict` is "may_gate", "may_not_gate" or "too_few_labels"."""

    verdict: str
    reasons: list[str]
    labels: int
    items: int
    raters: int
    unscored: int
    confusion: Confusion
    precision: Rate
    recall: Rate
    specificity: Rate
    informedness: Interval | None
    """Of Youden's J: an evaluator that knows nothing has 0, whatever the share of failures among the labels."""
    f1: Rate
    agreement: Rate
    kappa: float | None
    kappa_quadratic: float | None
    alpha: float | None
    threshold: float | None
    threshold_rule: str
    threshold_holds: Confusion | None
    newest_label: datetime | None
    age_days: float | None
    drift: str
    notes: list[str]


def calibrate(
    pairs: Sequence[Pair],
    *,
    direction: str = "higher",
    target_precision: float | None = None,
    min_labels: int = MIN_LABELS,
    at_least: float = 0.6,
    now: datetime | None = None,
) -> Calibration:
    """Compares human labels with an evaluator's verdicts and scores.

    Several labels of an item count as their majority (a tie is a failure). `threshold` is where the score separates
    good from bad best by Youden, or the mildest cut whose flags reach `target_precision`; how it does on items it was not
    chosen on is in `threshold_holds`, by five-fold cross-validation. The evaluator may gate when there are enough
    labels of both kinds, when precision, recall and specificity all have a lower bound of at least `at_least`, and when
    it beats chance: precision alone is cleared by the share of failures among the labels.

    Raises:
        UsageError: no labels, or labels without verdicts.
    """
    if not pairs:
        raise UsageError("There are no human labels.", hint="`evalspan annotate` collects them, --labels reads a file.")
    items = _items(pairs)
    scored = [item for item in items if item.score is not None or item.passed is not None]
    threshold, rule = _threshold(scored, direction, target_precision)
    judged = [item for item in scored if item.passed is not None]
    held = _held_out(scored, direction, target_precision)
    # Without labels of both kinds, or where no cut is precise enough, nothing of the scores can be flagged.
    flagged = [(not item.good, not item.passed) for item in judged] or [(not item.good, False) for item in scored]
    confusion = count(flagged) if judged or held is None else held
    if not scored:
        raise UsageError(
            "The evaluator has neither verdicts nor scores to cut.", hint="Score the labelled items first."
        )
    raters = len({pair.rater for pair in pairs})
    newest, age = _newest(pairs, now or datetime.now(UTC))
    verdict, reasons = _verdict(confusion, min_labels, at_least)
    return Calibration(
        verdict=verdict,
        reasons=reasons,
        labels=len(pairs),
        items=len(items),
        raters=raters,
        unscored=len(items) - len(scored),
        confusion=confusion,
        precision=confusion.precision,
        recall=confusion.recall,
        specificity=confusion.specificity,
        informedness=confusion.informedness,
        f1=confusion.f1,
        agreement=_rate(confusion.caught + confusion.cleared, sum(msgspec.structs.astuple(confusion))),
        kappa=_kappa(judged),
        kappa_quadratic=_quadratic(scored),
        alpha=_alpha(pairs),
        threshold=threshold,
        threshold_rule=rule,
        threshold_holds=held,
        newest_label=newest,
        age_days=age,
        drift=_drift(judged),
        notes=_notes(judged, scored, items, raters, age),
    )


def _newest(pairs: Sequence[Pair], now: datetime) -> tuple[datetime | None, float | None]:
    """When the last label was given, and how many days ago."""
    newest = max((pair.at for pair in pairs if pair.at), default=None)
    return newest, (now - newest).total_seconds() / 86400 if newest else None


def count(verdicts: Sequence[tuple[bool, bool]]) -> Confusion:
    """The confusion of (people fail it, the evaluator fails it)."""
    found = Counter(verdicts)
    return Confusion(found[True, True], found[False, True], found[True, False], found[False, False])


def corrected_rate(pairs: Sequence[Pair], unlabelled: Sequence[float]) -> dict[str, Any] | None:
    """The pass rate people would give everything, by PPI++ from the labels and the evaluator's other scores.

    None below 40 labelled items: the interval would cover less than it says.
    """
    items = [item for item in _items(pairs) if item.score is not None]
    if len(items) < PPI_LABELS or len(unlabelled) < 2:
        return None
    scores = [float(item.score) for item in items if item.score is not None]
    found = prediction_powered_mean([float(bool(item.good)) for item in items], scores, unlabelled)
    return {**msgspec.structs.asdict(found), "labels": len(items)}


def _items(pairs: Sequence[Pair]) -> list[Pair]:
    """One pair an item: the majority's verdict, the mean label."""
    grouped: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.good is None:
            raise UsageError(
                f"The label of {pair.item} is {pair.label:g}, which is not yet good or bad.",
                hint="--good-from says from which label on an answer is good, e.g. --good-from 4.",
            )
        grouped[pair.item].append(pair)
    return [
        msgspec.structs.replace(
            group[-1],
            label=float(np.mean([pair.label for pair in group])),
            good=sum(bool(pair.good) for pair in group) * 2 > len(group),
        )
        for group in grouped.values()
    ]


def _rate(k: int, n: int) -> Rate:
    return Rate(k / n if n else None, proportion_interval(k, n), n)


def _cut(items: Sequence[Pair], direction: str, target: float | None) -> float | None:
    """The threshold on these items' scores: at least (or at most, where lower is better) this is good."""
    sign = 1.0 if direction == "higher" else -1.0
    known = [(bool(item.good), sign * float(item.score)) for item in items if item.score is not None]
    good = [verdict for verdict, _ in known]
    if len(set(good)) < 2:
        return None
    if target is None:
        return sign * youden(good, [score for _, score in known])
    for cut in sorted({score for _, score in known}, reverse=True):
        # From strict to mild: the first one whose flags are right often enough flags the most.
        precision = count([(not verdict, score < cut) for verdict, score in known]).precision.value
        if precision is not None and precision >= target:
            return sign * cut
    return None


def _threshold(items: Sequence[Pair], direction: str, target: float | None) -> tuple[float | None, str]:
    rule = "Youden" if target is None else f"precision of at least {target:g}"
    return _cut(items, direction, target), rule


def _held_out(items: Sequence[Pair], direction: str, target: float | None, folds: int = 5) -> Confusion | None:
    """The confusion of thresholds on items that they were not chosen on."""
    scored = sorted((item for item in items if item.score is not None), key=lambda item: item.item)
    verdicts: list[tuple[bool, bool]] = []
    passes: Callable[[float, float], bool] = (lambda s, t: s >= t) if direction == "higher" else (lambda s, t: s <= t)
    for fold in range(folds):
        cut = _cut([item for i, item in enumerate(scored) if i % folds != fold], direction, target)
        if cut is None:
            return None
        verdicts += [
            (not item.good, not passes(float(item.score), cut))
            for i, item in enumerate(scored)
            if i % folds == fold and item.score is not None
        ]
    return count(verdicts)


def _kappa(judged: Sequence[Pair]) -> float | None:
    """Cohen's kappa of people's verdicts and the evaluator's."""
    if not judged:
        return None
    return cohen_kappa([bool(item.good) for item in judged], [bool(item.passed) for item in judged])


def _quadratic(items: Sequence[Pair]) -> float | None:
    """Quadratic kappa where people and evaluator use the same few grades."""
    grades = [(item.label, float(item.score)) for item in items if item.score is not None]
    values = {value for pair in grades for value in pair}
    if len(values) < 3 or not all(value == int(value) for value in values):
        return None
    return cohen_kappa([label for label, _ in grades], [score for _, score in grades], "quadratic")


def _alpha(pairs: Sequence[Pair]) -> float | None:
    """Agreement of the people among each other: no evaluator can be expected to agree with them better."""
    raters = sorted({pair.rater for pair in pairs})
    items = sorted({pair.item for pair in pairs})
    given = {(pair.rater, pair.item): pair.label for pair in pairs}
    table = [[given.get((rater, item)) for item in items] for rater in raters]
    twice = any(sum(row[i] is not None for row in table) > 1 for i in range(len(items)))
    return krippendorff_alpha(table, "ordinal") if twice else None


def _verdict(confusion: Confusion, min_labels: int, at_least: float) -> tuple[str, list[str]]:
    n = sum(msgspec.structs.astuple(confusion))
    sizes = {"failures": confusion.caught + confusion.missed, "good": confusion.false_alarms + confusion.cleared}
    rarer = min(sizes, key=lambda kind: sizes[kind])
    few = []
    if n < min_labels:
        few.append(f"{n} labelled items, {min_labels} are needed")
    few += [
        f"not enough labels of the rarer class: {size} {kind}, {MIN_PER_CLASS - size} more needed"
        for kind, size in sizes.items()
        if size < MIN_PER_CLASS
    ]
    if few:
        return "too_few_labels", few
    rates = {"precision": confusion.precision, "recall": confusion.recall, "specificity": confusion.specificity}
    weak = {name: rate for name, rate in rates.items() if rate.interval.low < at_least}
    known = confusion.informedness
    if known is not None and known.low <= 0:
        said = f"it does not beat chance: Youden's J is at least {known.low:.2f} and at most {known.high:.2f}"
        return "may_not_gate", [said, *(_weak(name, rate, at_least) for name, rate in weak.items())]
    if not weak:
        return "may_gate", [f"precision, recall and specificity are above {at_least:.0%}, and it beats chance"]
    # The rate over the rarer class has the widest interval: where it alone is open, labels would settle it.
    own = {"failures": "recall", "good": "specificity"}[rarer]
    more = _labels_needed(rates[own], at_least) if set(weak) == {own} else None
    if more is not None:
        said = f"not enough labels of the rarer class: {sizes[rarer]} {rarer}, {more} more needed"
        return "too_few_labels", [f"{said}, if {own} stays at {_percent(rates[own])}"]
    return "may_not_gate", [_weak(name, rate, at_least) for name, rate in weak.items()]


def _weak(name: str, rate: Rate, at_least: float) -> str:
    return f"{name} is {_percent(rate)}: its lower bound is below {at_least:.0%}"


def _labels_needed(rate: Rate, at_least: float) -> int | None:
    """How many more labels would lift the lower bound over the bar if the rate stays; None when it lies below it."""
    if rate.value is None or rate.value <= at_least:
        return None
    for n in range(rate.n + 1, MAX_LABELS_ASKED + 1):
        if proportion_interval(math.floor(rate.value * n), n).low >= at_least:
            return n - rate.n
    return None


def _percent(rate: Rate) -> str:
    if rate.value is None:
        return "unknown (it flagged nothing)"
    return f"{rate.value:.0%} [{rate.interval.low:.0%}, {rate.interval.high:.0%}]"


def _drift(judged: Sequence[Pair]) -> str:
    """Whether the newer half of the labels agrees less than the older one."""
    dated = sorted((item for item in judged if item.at is not None), key=lambda item: str(item.at))
    if len(dated) < 4 * MIN_PER_CLASS:
        return "unknown: fewer than 40 dated labels"
    halves = dated[: len(dated) // 2], dated[len(dated) // 2 :]
    old, new = (_rate(sum(item.good == item.passed for item in half), len(half)) for half in halves)
    apart = old.interval.low > new.interval.high or new.interval.low > old.interval.high
    return (
        f"{'moved' if apart else 'steady'}: agreement {_percent(old)} in the older half, {_percent(new)} in the newer"
    )


def _notes(
    judged: Sequence[Pair], scored: Sequence[Pair], items: Sequence[Pair], raters: int, age: float | None
) -> list[str]:
    notes = []
    if not judged:
        notes.append(
            "The evaluator gives no verdicts: the numbers are those of the threshold on items it was not chosen on."
        )
    if len(scored) < len(items):
        notes.append(f"{len(items) - len(scored)} labelled items have no score; they count neither for nor against it.")
    if any(item.good != item.passed for item in judged):
        notes.append("Where people and evaluator disagree, the evaluator counts as wrong: mend it, not the labels.")
    if raters == 1:
        notes.append("One person labelled: let support, customer-facing and legal people rate the same calls.")
    if age is not None and age > QUARTER_DAYS:
        notes.append(f"The newest label is {age:.0f} days old; repeat every quarter.")
    return notes
