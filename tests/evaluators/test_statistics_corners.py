"""Statistics at the edges: nothing, one value, constants, NaN, perfect agreement; and only Python's own types."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from evalspan.evaluators import statistics as st
from evalspan.evaluators.statistics import mcnemar_test
from evalspan.evaluators.statistics.sign_flip import sign_flip_test

Call = Callable[[], Any]
NAN = math.nan

REFUSED: dict[str, Call] = {
    "weighted_mean of nothing": lambda: st.weighted_mean([], []),
    "weighted_mean of NaN": lambda: st.weighted_mean([1, NAN], [1, 1]),
    "weighted_mean with probability 0": lambda: st.weighted_mean([1, 2], [0, 1]),
    "weighted_mean with probability above 1": lambda: st.weighted_mean([1, 2], [0.5, 1.5]),
    "weighted_mean of unequal lengths": lambda: st.weighted_mean([1, 2], [1]),
    "proportion with more successes than trials": lambda: st.proportion_interval(3, 2),
    "proportion with NaN": lambda: st.proportion_interval(NAN, 2),
    "proportion with an unknown method": lambda: st.proportion_interval(1, 2, 0.95, "wald"),
    "welch of one value": lambda: st.welch_test([1], [1, 2]),
    "welch of NaN": lambda: st.welch_test([1, NAN], [1, 2]),
    "welch of None": lambda: st.welch_test([1, None], [1, 2]),  # type: ignore[arg-type,list-item,unused-ignore]
    "paired of unequal lengths": lambda: st.paired_difference([1, 2, 3], [1, 2]),
    "mcnemar of negatives": lambda: st.mcnemar_test(-1, 2),
    "one cluster": lambda: st.clustered_standard_error([1, 2], ["a", "a"]),
    "kappa of nothing": lambda: st.cohen_kappa([], []),
    "kappa of a gap": lambda: st.cohen_kappa([1, None], [1, 2]),
    "kappa of NaN": lambda: st.cohen_kappa([1.0, NAN], [1, 2]),
    "fleiss of uneven ratings": lambda: st.fleiss_kappa([[2, 0], [1, 0]]),
    "alpha without a pair": lambda: st.krippendorff_alpha([[1, None], [None, 2]], "nominal"),
    "alpha of text at interval level": lambda: st.krippendorff_alpha([["a"], ["b"]], "interval"),
    "benjamini_hochberg of NaN": lambda: st.benjamini_hochberg([0.1, NAN], 0.05),
    "benjamini_hochberg above 1": lambda: st.benjamini_hochberg([1.1], 0.05),
    "ppi of one label": lambda: st.prediction_powered_mean([1], [1], [1, 2]),
    "ppi of NaN": lambda: st.prediction_powered_mean([1, 0], [1, NAN], [1, 2]),
    "confidence_sequence with a negative sd": lambda: st.confidence_sequence(0, -1, 5, 0.05, 1),
    "betting on values outside [0, 1]": lambda: st.betting_capital([4], 0.5, 0.5),
    "betting more than everything": lambda: st.betting_capital([0.4], 0.5, 3),
    "e_detector of NaN": lambda: st.e_detector([1, NAN], [1, 1], 1),
    "e_detector with an unknown direction": lambda: st.e_detector([1], [1], 1, direction="down"),
    "cusum of NaN": lambda: st.cusum([NAN], 0, 1, 1),
    "psi of an empty side": lambda: st.population_stability_index([0, 0], [1, 1]),
    "jensen_shannon of negatives": lambda: st.jensen_shannon_distance([1, -1], [1, 1]),
    "sample size for no effect": lambda: st.required_sample_size(0, 1),
    "youden of one kind": lambda: st.youden_threshold([1, 1], [0.1, 0.2]),
    "detect_regression of NaN": lambda: st.detect_regression([1] * 10, [1] * 9 + [NAN]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_b12_refused_with_a_reason(case: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ .*\w"):
        REFUSED[case]()


AS_ITERATORS: dict[str, tuple[Call, Call]] = {
    "weighted_mean": (
        lambda: st.weighted_mean([1, 2, 3], [0.5, 1, 1]),
        lambda: st.weighted_mean((v for v in (1, 2, 3)), iter([0.5, 1, 1])),
    ),
    "welch_test": (
        lambda: st.welch_test([1, 2, 4], [2, 3, 9]),
        lambda: st.welch_test((v for v in (1, 2, 4)), iter([2, 3, 9])),
    ),
    "clustered_standard_error": (
        lambda: st.clustered_standard_error([1, 2, 4], "aab"),
        lambda: st.clustered_standard_error(iter([1, 2, 4]), (c for c in "aab")),
    ),
    "cohen_kappa": (lambda: st.cohen_kappa("aab", "abb"), lambda: st.cohen_kappa(iter("aab"), (c for c in "abb"))),
    "fleiss_kappa": (
        lambda: st.fleiss_kappa([[2, 1], [0, 3]]),
        lambda: st.fleiss_kappa(row for row in ([2, 1], [0, 3])),
    ),
    "krippendorff_alpha": (
        lambda: st.krippendorff_alpha([[1, 2, 3], [1, 2, 2]], "interval"),
        lambda: st.krippendorff_alpha((iter(row) for row in ([1, 2, 3], [1, 2, 2])), "interval"),
    ),
    "youden_threshold": (
        lambda: st.youden_threshold([1, 0, 1], [3, 1, 2]),
        lambda: st.youden_threshold(iter([1, 0, 1]), (v for v in (3, 1, 2))),
    ),
}


@pytest.mark.parametrize("name", AS_ITERATORS)
def test_a_generator_counts_as_the_list_of_its_values(name: str) -> None:
    listed, iterated = AS_ITERATORS[name]
    assert listed() == iterated()


def test_one_sampled_value_claims_no_certainty() -> None:
    assert st.weighted_mean([3], [0.1]).interval == (-math.inf, math.inf)
    assert st.weighted_mean([3], [1]).interval == (3, 3)
    assert st.confidence_sequence(3, 1, 0, 0.05, 1).high == math.inf
    assert st.minimum_detectable_effect(1, 1) == math.inf
    assert st.proportion_interval(0, 0) == (0, 1)
    assert st.proportion_interval(0, 0, method="clopper-pearson") == (0, 1)


def test_nothing_in_nothing_out() -> None:
    assert st.benjamini_hochberg([], 0.05) == []
    assert st.betting_capital([], 0.5, 0.5) == []
    assert (st.e_detector([], [], 0.0).statistic, st.e_detector([], [], 0.0).alarm) == ([], None)
    assert st.cusum([], 0, 1, 1).alarm is None
    assert st.mcnemar_test(0, 0).p == 1


def test_b12_constants_get_exact_answers_instead_of_nan() -> None:
    same = st.welch_test([4] * 10, [4] * 10)
    assert (same.t, same.p, same.difference) == (0, 1, 0)
    apart = st.welch_test([0.1] * 10, [0.3] * 10)
    assert apart.p == pytest.approx(2 / math.comb(20, 10))
    assert st.paired_difference([1, 2, 3], [2, 3, 4]).p == 0.25
    assert st.paired_difference([1, 2], [1, 2]).p == 1
    assert st.minimum_detectable_effect(10, 0) == 0
    assert st.prediction_powered_mean([1, 0, 1], [1, 1, 1], [1, 1]).tuning == 0


def test_perfect_agreement_is_one_also_without_variation() -> None:
    for weights in (None, "linear", "quadratic"):
        assert st.cohen_kappa(["a", "b"], ["a", "b"], weights) == 1
        assert st.cohen_kappa([3, 3], [3, 3], weights) == 1
    assert st.fleiss_kappa([[3, 0], [0, 3]]) == 1
    assert st.fleiss_kappa([[3, 0], [3, 0]]) == 1
    for level in ("nominal", "ordinal", "interval", "ratio"):
        assert st.krippendorff_alpha([[1, 2, 0], [1, 2, 0]], level) == 1
        assert st.krippendorff_alpha([[1, 1], [1, 1]], level) == 1
    assert st.krippendorff_alpha([["a", "b", None], ["a", "b", "c"]], "nominal") == 1


def test_empty_categories_do_not_make_a_distance_infinite() -> None:
    assert 0 < st.population_stability_index([10, 0], [5, 5]) < 10
    assert st.population_stability_index([1, 2, 0], [2, 4, 0]) == 0
    assert st.jensen_shannon_distance([1, 0], [0, 1]) == 1
    assert st.jensen_shannon_distance([1, 2], [10, 20]) == pytest.approx(0, abs=1e-8)


def test_b12_a_constant_window_neither_blinds_nor_fires_the_e_detector() -> None:
    healthy = st.e_detector([4.0, 4.1, 3.9, 4.0, 3.8], [0.2, 0.2, 0.2, 0.2, 0.0], 4.0)
    assert healthy.alarm is None
    assert all(math.isfinite(value) for value in healthy.statistic)
    dropped = st.e_detector([4.0, 4.0, 1.0], [0.0, 0.0, 0.0], 4.0)
    assert dropped.alarm == 2
    assert st.e_detector([1.0] * 3, [1e-9] * 3, 4.0).statistic[-1] < math.inf


def test_e_detector_watches_the_side_it_is_told_to() -> None:
    up, se = [0.0] * 5 + [1.0] * 10, [0.2] * 15
    assert st.e_detector(up, se, 0.0).alarm is None
    assert st.e_detector(up, se, 0.0, direction="increase").alarm in range(5, 9)
    assert st.e_detector(up, se, 0.0, direction="both").alarm in range(5, 9)
    assert st.e_detector(up, se, 0.0, alpha=0.01, horizon=10).threshold == pytest.approx(1000)


def test_extreme_sample_sizes_stay_numbers() -> None:
    for effect in (1e-4, 5.0, 40.0):
        n = st.required_sample_size(effect, 1.0)
        assert math.isfinite(n)
        assert n >= 2
    assert st.required_sample_size(1e-4, 1.0) == pytest.approx(2 * (2.801585 / 1e-4) ** 2, rel=1e-3)
    assert st.minimum_detectable_effect(2, 1.0) > st.minimum_detectable_effect(3, 1.0) > 2
    assert st.minimum_detectable_effect(10_000_000, 1.0) == pytest.approx(0.00125, rel=1e-2)


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value]


def test_b42_no_numpy_type_leaks() -> None:
    x, y = np.arange(12.0), np.arange(12.0) + np.tile([0.0, 1.0], 6)
    half = np.full(12, 0.5)
    three: Any = np.int64(3)
    five: Any = np.int64(5)
    results = [
        st.weighted_mean(x, half),
        st.proportion_interval(three, five),
        st.proportion_interval(three, five, method="clopper-pearson"),
        st.welch_test(x, y),
        st.paired_difference(x, y),
        st.mcnemar_test(five, three),
        st.clustered_standard_error(x, y),
        st.cohen_kappa(x, y, "quadratic"),
        st.fleiss_kappa(np.array([[2, 1], [1, 2]])),
        st.krippendorff_alpha(np.array([x, y]).tolist(), "ordinal"),
        st.benjamini_hochberg(half, 0.6),
        st.prediction_powered_mean(x, y, y),
        st.confidence_sequence(np.float64(1), np.float64(1), five, 0.05, 1.0),
        st.betting_capital(half, 0.5, 0.5),
        st.e_detector(x, half, np.float64(1)),
        st.cusum(x, np.float64(1), 0.5, 2.0),
        st.population_stability_index(x, y),
        st.jensen_shannon_distance(x, y),
        st.required_sample_size(np.float64(0.5), np.float64(1)),
        st.minimum_detectable_effect(five, np.float64(1)),
        st.youden_threshold(x > 4, y),
        st.detect_regression(x, y),
    ]
    for leaf in _leaves(results):
        assert type(leaf) in (float, int, bool, str, type(None)), leaf
    assert msgspec.json.encode(results)


@pytest.mark.parametrize("probability", [1e-300, 5e-324, 1e-160])
def test_tiny_probabilities_do_not_overflow(probability: float) -> None:
    found = st.weighted_mean([1.0, 0.0, 1.0], [probability, probability, 1.0])
    assert found.mean == pytest.approx(0.5)
    assert math.isfinite(found.standard_error)
    assert found.effective_n == pytest.approx(2.0)


def test_huge_values_do_not_overflow() -> None:
    assert st.weighted_mean([1e308, 1e308, 1e308], [0.5, 0.5, 0.5]).mean == pytest.approx(1e308)
    small, huge = (
        st.welch_test([1.0, 2.0, 4.0], [2.0, 3.0, 9.0]),
        st.welch_test([1e307, 2e307, 4e307], [2e307, 3e307, 9e307]),
    )
    assert huge.t == pytest.approx(small.t)
    assert huge.p == pytest.approx(small.p)


@pytest.mark.parametrize("sizes", [[1] * 9, [1] * 30, [3, 1, 1, 2, 5], [2, 2, 2, 7] * 6, [0.5, 1.25, 3.0]])
def test_the_sign_flip_test_is_that_of_all_sign_flips(sizes):
    draw = np.random.default_rng(3)
    signs = draw.choice([-1, 1], size=(200_000, len(sizes)))
    for observed in (np.array(sizes) * draw.choice([-1, 1], size=len(sizes)) for _ in range(3)):
        by_hand = float(((signs * np.array(sizes)).sum(axis=1) <= observed.sum() + 1e-9).mean())
        # Each cluster's sum is made of two parts: only the sum counts.
        parts = np.repeat(observed / 2, 2)
        names = np.repeat(np.arange(len(sizes)), 2).tolist()
        assert sign_flip_test(parts, names) == pytest.approx(by_hand, abs=0.006)


def test_the_sign_flip_test_of_single_verdicts_is_mcnemars():
    for better, worse in ((0, 5), (3, 9), (9, 3), (10, 14)):
        drops = [1.0] * better + [-1.0] * worse + [0.0] * 40
        exact = mcnemar_test(better, worse).p / 2
        expected = exact if worse > better else 1 - exact + math.comb(better + worse, worse) * 0.5 ** (better + worse)
        assert sign_flip_test(drops, list(range(len(drops)))) == pytest.approx(expected)
    assert sign_flip_test([0.0, 0.0], [1, 2]) == 1.0
