"""Is the candidate worse than the baseline by more than what matters? The verdict that may block a deployment."""

from __future__ import annotations

import math

import msgspec

from .comparisons import DifferenceTest, welch_test
from .distributions import student_cdf, student_quantile
from .power import minimum_detectable_effect
from .samples import Interval, Values, floats, open_unit, positive

MIN_SCORES = 10


class RegressionVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What was concluded, what to do, and the numbers behind it; differences are candidate minus baseline."""

    conclusion: str
    recommendation: str
    reason: str
    n_baseline: int
    n_candidate: int
    baseline_mean: float | None
    candidate_mean: float | None
    difference: float | None
    interval: Interval | None
    effect_size: float | None
    p: float | None
    p_regression: float | None
    p_harmless: float | None
    is_significant: bool
    is_meaningful: bool
    minimum_detectable_effect: float | None


def detect_regression(
    baseline: Values, candidate: Values, *, alpha: float = 0.05, margin: float = 0.3
) -> RegressionVerdict:
    """Compares two independent samples of scores (higher is better) against a margin, in the unit of the scores.

    Each claim is a Welch test of its own at level `alpha`, against the margin and not against the point estimate:
    "regression" (block_deployment) when the drop is larger than the margin; "improvement" when the rise is, or when
    it is significant and a drop of the margin is excluded; "trivial" when a significant difference is smaller than
    the margin; "no_change" when a drop of the margin is excluded and nothing is significant (all three proceed);
    "inconclusive" (collect_more_data) otherwise, and always with fewer than 10 scores on a side.
    `interval` is the (1 - alpha) one of the difference, `effect_size` Cohen's d, `p` two-sided against 0.
    Source: Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15 (1987), for the tests against a margin.
    Raises ValueError on NaN, an alpha outside (0, 0.5) or a margin that is not above 0.
    """
    old, new = floats(baseline, "baseline", least=0), floats(candidate, "candidate", least=0)
    open_unit(2 * alpha, "2 * alpha")
    positive(margin, "margin")
    sizes = {"n_baseline": int(old.size), "n_candidate": int(new.size)}
    if min(sizes.values()) < MIN_SCORES:
        return _too_few(old.tolist(), new.tolist(), sizes)
    test = welch_test(new, old)
    spread = math.sqrt((old.var(ddof=1) + new.var(ddof=1)) / 2) if test.standard_error else 0.0
    lower = _p_below(test, -margin, sizes)
    upper = _p_below(test, margin, sizes)
    harmless = _p_above(test, -margin, sizes)
    rise = _p_above(test, margin, sizes)
    significant = test.p < alpha
    conclusion, reason = _conclude(
        worse=lower < alpha,
        better=rise < alpha or (significant and test.difference > 0 and harmless < alpha and upper >= alpha),
        harmless=harmless < alpha,
        significant=significant,
    )
    return RegressionVerdict(
        conclusion=conclusion,
        recommendation={"regression": "block_deployment", "inconclusive": "collect_more_data"}.get(
            conclusion, "proceed"
        ),
        reason=reason,
        **sizes,
        baseline_mean=float(old.mean()),
        candidate_mean=float(new.mean()),
        difference=test.difference,
        interval=_interval(test, alpha),
        effect_size=test.difference / spread if spread else (0.0 if test.difference == 0 else None),
        p=test.p,
        p_regression=lower,
        p_harmless=harmless,
        is_significant=significant,
        is_meaningful=conclusion in ("regression", "improvement"),
        minimum_detectable_effect=minimum_detectable_effect(min(sizes.values()), spread, alpha),
    )


def _conclude(*, worse: bool, better: bool, harmless: bool, significant: bool) -> tuple[str, str]:
    if worse:
        return "regression", "the drop is larger than the margin"
    if better:
        return "improvement", "the scores rose and a drop of the margin is excluded"
    if harmless and significant:
        return "trivial", "the difference is real but smaller than the margin"
    if harmless:
        return "no_change", "a drop of the margin is excluded and no difference is significant"
    return "inconclusive", "the data neither shows nor excludes a drop of the margin"


def _p_below(test: DifferenceTest, bound: float, sizes: dict[str, int]) -> float:
    """The one-sided p-value of "the difference is below `bound`"."""
    return _one_sided(test, test.difference - bound, sizes)


def _p_above(test: DifferenceTest, bound: float, sizes: dict[str, int]) -> float:
    return _one_sided(test, bound - test.difference, sizes)


def _one_sided(test: DifferenceTest, distance: float, sizes: dict[str, int]) -> float:
    if test.standard_error == 0:
        # Two constants: exactly one of all arrangements of the pooled scores is as extreme.
        return 1 / math.comb(sum(sizes.values()), sizes["n_baseline"]) if distance < 0 else 1.0
    return student_cdf(test.degrees_of_freedom, distance / test.standard_error)


def _interval(test: DifferenceTest, alpha: float) -> Interval:
    half = student_quantile(test.degrees_of_freedom, 1 - alpha / 2) * test.standard_error
    return Interval(test.difference - half, test.difference + half)


def _too_few(old: list[float], new: list[float], sizes: dict[str, int]) -> RegressionVerdict:
    means = [sum(side) / len(side) if side else None for side in (old, new)]
    difference = None if means[0] is None or means[1] is None else means[1] - means[0]
    return RegressionVerdict(
        conclusion="inconclusive",
        recommendation="collect_more_data",
        reason=f"insufficient data: {len(old)} and {len(new)} scores, at least {MIN_SCORES} on each side are needed",
        **sizes,
        baseline_mean=means[0],
        candidate_mean=means[1],
        difference=difference,
        interval=None,
        effect_size=None,
        p=None,
        p_regression=None,
        p_harmless=None,
        is_significant=False,
        is_meaningful=False,
        minimum_detectable_effect=None,
    )
