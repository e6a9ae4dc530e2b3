"""Statistics against published worked examples and against scipy, statsmodels, scikit-learn and krippendorff."""

from __future__ import annotations

import math
from typing import Literal

import krippendorff
import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import cohen_kappa_score, roc_curve
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.inter_rater import fleiss_kappa as statsmodels_fleiss
from statsmodels.stats.power import tt_ind_solve_power
from statsmodels.stats.proportion import proportion_confint

from evalspan.evaluators import statistics as st

# Cushny and Peebles' sleep data, as in Student (1908).
SLEEP = (
    [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
    [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
)
# NIST/SEMATECH Handbook, 6.3.2.3: 20 group means, target 325, k 0.3175, h 4.1959.
NIST = [
    324.925, 324.675, 324.725, 324.350, 325.350, 325.225, 324.125, 324.525, 325.225, 324.600,
    324.625, 325.150, 328.325, 327.250, 327.825, 328.500, 326.675, 327.775, 326.875, 328.350,
]  # fmt: skip
# Krippendorff (2011), example C: four observers, twelve units, gaps.
NAN = math.nan
KRIPPENDORFF = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
# Holmquist et al. (1967): two pathologists, 118 slides, four grades (as in Agresti, Categorical Data Analysis).
HOLMQUIST = [[22, 2, 2, 0], [5, 7, 14, 0], [0, 2, 36, 0], [0, 1, 17, 10]]


def _spread_out(table: list[list[int]]) -> tuple[list[int], list[int]]:
    pairs = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return [i for i, _ in pairs], [j for _, j in pairs]


def test_hajek_mean_equals_its_formula_and_the_enumeration_of_all_samples() -> None:
    rng = np.random.default_rng(1)
    y, p = rng.normal(size=50), rng.uniform(0.05, 1, 50)
    got = st.weighted_mean(y, p)
    w = 1 / p
    mean = (w @ y) / w.sum()
    assert got.mean == pytest.approx(mean, rel=1e-12)
    assert got.standard_error == pytest.approx(math.sqrt(((1 - p) * (w * (y - mean)) ** 2).sum()) / w.sum())
    assert got.effective_n == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert got.interval.high - got.mean == pytest.approx(1.959963984540054 * got.standard_error)


def test_hajek_standard_error_is_that_of_the_design() -> None:
    # All 2^12 Poisson samples of a small population: the mean linearised variance is near the true one.
    rng = np.random.default_rng(2)
    y, p = rng.normal(5, 1, 400), rng.uniform(0.2, 0.9, 400)
    draws = [st.weighted_mean(y[kept], p[kept]) for kept in (rng.random((2000, 400)) < p)]
    spread = float(np.std([d.mean for d in draws]))
    assert float(np.mean([d.standard_error for d in draws])) == pytest.approx(spread, rel=0.06)


def test_wilson_and_clopper_pearson_give_newcombe_1998() -> None:
    published = {
        (81, 263): ((0.2553, 0.3662), (0.2527, 0.3676)),
        (15, 148): ((0.0624, 0.1605), (0.0578, 0.1617)),
        (0, 20): ((0.0, 0.1611), (0.0, 0.1684)),
        (1, 29): ((0.0061, 0.1718), (0.0009, 0.1776)),
    }
    for (k, n), (wilson, exact) in published.items():
        assert st.proportion_interval(k, n) == pytest.approx(wilson, abs=5.1e-5)
        assert st.proportion_interval(k, n, method="clopper-pearson") == pytest.approx(exact, abs=5.1e-5)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_proportion_intervals_equal_statsmodels(confidence: float) -> None:
    for k, n in [(0, 1), (1, 1), (3, 7), (50, 50), (499, 1000)]:
        for ours, theirs in (("wilson", "wilson"), ("clopper-pearson", "beta")):
            want = proportion_confint(k, n, alpha=1 - confidence, method=theirs)
            assert st.proportion_interval(k, n, confidence, ours) == pytest.approx(want, abs=1e-9)


def test_students_sleep_data_need_pairing() -> None:
    assert st.welch_test(*SLEEP).p == pytest.approx(0.07939, abs=5e-6)
    paired = st.paired_difference(*SLEEP)
    assert paired.p == pytest.approx(0.002833, abs=5e-7)
    assert paired.mean == pytest.approx(-1.58)


def test_tests_equal_scipy() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 1, 30), rng.normal(0.4, 2, 45)
    want = stats.ttest_ind(a, b, equal_var=False)
    got = st.welch_test(a, b)
    assert (got.t, got.p) == pytest.approx((want.statistic, want.pvalue))
    assert got.interval == pytest.approx(tuple(want.confidence_interval(0.95)))
    paired = stats.ttest_rel(a, b[:30])
    mine = st.paired_difference(a, b[:30])
    assert mine.p == pytest.approx(paired.pvalue)
    assert mine.interval == pytest.approx(tuple(paired.confidence_interval(0.95)))


def test_mcnemar_gives_agresti_and_the_exact_binomial() -> None:
    assert st.mcnemar_test(86, 150).statistic == pytest.approx(17.36, abs=5e-3)
    assert st.mcnemar_test(86, 150).p == pytest.approx(stats.chi2.sf(17.3559, 1), rel=1e-3)
    assert st.mcnemar_test(1, 9).p == pytest.approx(stats.binomtest(1, 10).pvalue)


def test_benjamini_hochberg_1995_rejects_four() -> None:
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]  # fmt: skip
    mask = st.benjamini_hochberg(p, 0.05)
    assert mask == [True] * 4 + [False] * 11
    shuffled = np.random.default_rng(4).permutation(p)
    adjusted = stats.false_discovery_control(shuffled)
    assert st.benjamini_hochberg(shuffled, 0.05) == (adjusted <= 0.05).tolist()


def test_clustered_standard_error_equals_statsmodels() -> None:
    rng = np.random.default_rng(5)
    clusters = rng.integers(0, 40, 300)
    values = rng.normal(size=300) + rng.normal(size=40)[clusters]
    fit = OLS(values, np.ones(300)).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": False, "df_correction": False}
    )
    assert st.clustered_standard_error(values, clusters.tolist()) == pytest.approx(fit.bse[0])
    assert st.clustered_standard_error([0, 1, 1, 0], ["a", "b", "c", "d"]) == pytest.approx(0.25)


def test_kappas_give_holmquist_and_scikit_learn() -> None:
    a, b = _spread_out(HOLMQUIST)
    for weights, want in ((None, 0.493), ("linear", 0.649), ("quadratic", 0.784)):
        assert st.cohen_kappa(a, b, weights) == pytest.approx(want, abs=5.1e-4)
        assert st.cohen_kappa(a, b, weights) == pytest.approx(cohen_kappa_score(a, b, weights=weights))
    assert st.cohen_kappa(*_spread_out([[20, 5], [10, 15]])) == pytest.approx(0.40)


def test_weighted_kappa_ranks_words_as_told_and_never_by_the_alphabet() -> None:
    order = ["poor", "fair", "good", "excellent"]
    a, b = ["poor", "fair", "good", "excellent", "good"], ["fair", "fair", "excellent", "excellent", "poor"]
    places = [[order.index(one) for one in side] for side in (a, b)]
    for weights in ("linear", "quadratic"):
        want = cohen_kappa_score(*places, weights=weights)
        assert st.cohen_kappa(a, b, weights, order=order) == pytest.approx(want)
        assert want != pytest.approx(cohen_kappa_score(*[[sorted(order).index(v) for v in s] for s in (a, b)], weights=weights))  # fmt: skip
        with pytest.raises(ValueError, match="order of the grades"):
            st.cohen_kappa(a, b, weights)
    assert st.cohen_kappa(a, b) == pytest.approx(cohen_kappa_score(a, b))
    with pytest.raises(ValueError, match="'excellent'"):
        st.cohen_kappa(a, b, "linear", order=order[:3])


def test_weighted_kappa_keeps_room_for_a_grade_that_nobody_gave() -> None:
    a, b = [1, 2, 4, 5, 4, 2], [1, 2, 4, 5, 2, 4]
    want = cohen_kappa_score(a, b, weights="quadratic", labels=[1, 2, 3, 4, 5])
    assert st.cohen_kappa(a, b, "quadratic") == pytest.approx(want)


def test_fleiss_1971_example() -> None:
    counts = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    assert st.fleiss_kappa(counts) == pytest.approx(0.210, abs=5e-4)
    assert st.fleiss_kappa(counts) == pytest.approx(statsmodels_fleiss(np.array(counts)))


def test_krippendorff_2011_example_at_all_levels() -> None:
    for name, value in (("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)):
        assert st.krippendorff_alpha(KRIPPENDORFF, name) == pytest.approx(value, abs=5.1e-4)
    rng = np.random.default_rng(6)
    data = np.where(rng.random((3, 40)) < 0.2, np.nan, rng.integers(1, 6, (3, 40)).astype(float))
    levels: list[Literal["nominal", "ordinal", "interval", "ratio"]] = ["nominal", "ordinal", "interval", "ratio"]
    for level in levels:
        want = krippendorff.alpha(reliability_data=data, level_of_measurement=level)
        assert st.krippendorff_alpha(data.tolist(), level) == pytest.approx(want)


def test_youden_equals_the_roc_curve() -> None:
    assert st.youden_threshold([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) == 0.8
    rng = np.random.default_rng(7)
    labels = rng.random(200) < 0.4
    scores = rng.normal(labels.astype(float))
    fpr, tpr, thresholds = roc_curve(labels, scores)
    assert st.youden_threshold(labels, scores) == pytest.approx(thresholds[np.argmax(tpr - fpr)])


def test_confidence_sequence_radius_at_10_100_1000() -> None:
    for n, radius in ((10, 0.96064), (100, 0.32730), (1000, 0.11364)):
        assert st.confidence_sequence(2.0, 1.0, n, 0.05, 1.0).high - 2 == pytest.approx(radius, abs=5.1e-6)


def test_betting_capital_multiplies_its_wins_and_losses() -> None:
    assert st.betting_capital([0.5, 0.0, 1.0], 0.5, 1.0) == pytest.approx([1.0, 1.5, 0.75])
    assert st.betting_capital([1.0] * 3, 0.5, -1.0) == pytest.approx([1.5, 2.25, 3.375])


def test_cusum_gives_the_nist_alarm_at_group_14() -> None:
    got = st.cusum(NIST, 325, 0.3175, 4.1959)
    assert got.alarm == 13
    assert got.high[12:14] == pytest.approx([3.0075, 4.94], abs=1e-9)
    assert got.low[:4] == pytest.approx([0.0, 0.0075, 0.0, 0.3325], abs=1e-9)


def test_power_equals_statsmodels() -> None:
    assert st.required_sample_size(0.3, 1.0, 0.05, 0.8) == pytest.approx(175.4, abs=0.05)
    for effect, alpha, power in ((0.2, 0.01, 0.9), (1.5, 0.1, 0.8), (0.02, 0.05, 0.8)):
        want = tt_ind_solve_power(effect_size=effect, alpha=alpha, power=power)
        assert st.required_sample_size(2 * effect, 2.0, alpha, power) == pytest.approx(want, rel=1e-5)
    for n, want in ((10, 1.32), (50, 0.57), (200, 0.28)):
        assert st.minimum_detectable_effect(n, 1.0, 0.05, 0.8) == pytest.approx(want, abs=5.1e-3)


def test_psi_and_jensen_shannon_equal_their_formulas() -> None:
    p, q = np.array([0.36, 0.48, 0.16]), np.array([30, 50, 20])
    share = q / q.sum()
    assert st.jensen_shannon_distance(p, q) == pytest.approx(jensenshannon(p, share, base=2))
    assert st.population_stability_index(p, q) == pytest.approx(float(((p - share) * np.log(p / share)).sum()))
    # Half of p and all of q shifted by one category: by hand.
    assert st.population_stability_index([0.5, 0.5], [0.25, 0.75]) == pytest.approx(0.25 * math.log(3), rel=1e-12)
