"""Statistics against the truth: simulations in which coverage, false alarms and verdicts can be counted."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evalspan.evaluators import statistics as st

SCORES, HEALTHY = np.arange(1.0, 6.0), np.array([0.03, 0.07, 0.15, 0.45, 0.30])
TRUTH = float(SCORES @ HEALTHY)


def _below(rate: float, runs: float) -> float:
    """What a true rate may show in `runs` runs: three binomial standard errors more."""
    return rate + 3 * math.sqrt(rate * (1 - rate) / runs)


def test_b02_weighted_mean_covers_where_the_unweighted_one_never_does() -> None:
    rng = np.random.default_rng(1)
    runs, covered, naive = 400, 0, 0
    for _ in range(runs):
        special = rng.random(8000) < 0.1
        failed = rng.random(8000) < np.where(special, 0.4, 0.04)
        p = np.where(special, 1.0, 0.05)
        kept = rng.random(8000) < p
        low, high = st.weighted_mean(failed[kept], p[kept]).interval
        covered += low <= failed.mean() <= high
        low, high = st.proportion_interval(int(failed[kept].sum()), int(kept.sum()))
        naive += low <= failed.mean() <= high
    assert 1 - covered / runs <= _below(0.06, runs)
    assert naive == 0


def test_prediction_powered_mean_covers_and_is_never_wider_than_labels_alone() -> None:
    rng = np.random.default_rng(2)
    runs = 400
    for quality in (0.0, 0.5, 0.9):
        covered, ratio = 0, []
        for _ in range(runs):
            human = rng.normal(size=1050)
            judge = quality * human + (1 - quality**2) ** 0.5 * rng.normal(size=1050) + 0.7
            got = st.prediction_powered_mean(human[:50], judge[:50], judge[50:])
            covered += got.interval.low <= 0 <= got.interval.high
            ratio.append(got.standard_error / (human[:50].std(ddof=1) / 50**0.5))
        assert 1 - covered / runs <= _below(0.06, runs), quality
        assert max(ratio) <= 1.05
        assert float(np.mean(ratio)) < (1.0, 0.92, 0.6)[(0.0, 0.5, 0.9).index(quality)]


def test_clustered_standard_error_covers_where_the_naive_one_does_not() -> None:
    rng = np.random.default_rng(3)
    clusters = np.repeat(np.arange(60), 5)
    wrong = {"clustered": 0, "naive": 0}
    for _ in range(400):
        x = rng.normal(size=60)[clusters] + rng.normal(size=300)
        wrong["clustered"] += abs(x.mean()) > 2 * st.clustered_standard_error(x, clusters.tolist())
        wrong["naive"] += abs(x.mean()) > 2 * x.std(ddof=1) / 300**0.5
    assert wrong["clustered"] <= 400 * _below(0.06, 400)
    assert wrong["naive"] > 400 * 0.15


@pytest.mark.slow
@pytest.mark.parametrize("n", [10, 50])
def test_b01_e_detector_keeps_its_false_alarms_where_repeated_welch_does_not(n: int) -> None:
    rng = np.random.default_rng(4)
    runs, alarms, welch = 300, 0, 0
    for _ in range(runs):
        windows = rng.choice(SCORES, p=HEALTHY, size=(100, n))
        errors = windows.std(1, ddof=1) / n**0.5
        alarms += st.e_detector(windows.mean(1), errors, TRUTH).alarm is not None
        baseline = rng.choice(SCORES, p=HEALTHY, size=500)
        welch += any(st.welch_test(baseline, window).p < 0.05 for window in windows[: 100 if not welch else 30])
    assert alarms / runs <= _below(0.05, runs)
    assert welch / runs > 0.5


def test_b01_e_detector_finds_half_a_point_within_15_windows() -> None:
    rng = np.random.default_rng(5)
    delays = []
    for _ in range(100):
        windows = rng.choice(SCORES, p=HEALTHY, size=(60, 20))
        windows[30:] -= 0.5
        got = st.e_detector(windows.mean(1), windows.std(1, ddof=1) / 20**0.5, TRUTH)
        delays.append(99 if got.alarm is None else got.alarm - 29)
    assert float(np.median(delays)) <= 15


@pytest.mark.slow
def test_confidence_sequence_and_betting_hold_at_every_look() -> None:
    rng = np.random.default_rng(6)
    left = ruined = 0
    for _ in range(300):
        x = rng.random(400)
        mean, n = np.cumsum(x) / np.arange(1, 401), np.arange(1, 401)
        bands = [st.confidence_sequence(mean[k - 1], 12**-0.5, k, 0.05, 0.3) for k in n[9:]]
        left += any(not band.low <= 0.5 <= band.high for band in bands)
        ruined += max(st.betting_capital(x, 0.5, 0.8)) >= 20
    assert left / 300 <= _below(0.05, 300)
    assert ruined / 300 <= _below(0.05, 300)


def _verdicts(drop: float, n: int, runs: int = 400) -> dict[str, float]:
    rng = np.random.default_rng(7)
    found = [st.detect_regression(rng.normal(4, 1, n), rng.normal(4 - drop, 1, n)).recommendation for _ in range(runs)]
    return {name: found.count(name) / runs for name in ("block_deployment", "proceed", "collect_more_data")}


@pytest.mark.slow
def test_b08_a_drop_below_the_margin_is_seldom_called_a_regression() -> None:
    assert _verdicts(0.26, 20)["block_deployment"] <= _below(0.05, 400)


@pytest.mark.slow
def test_b09_without_power_nothing_proceeds() -> None:
    assert _verdicts(0.3, 10)["proceed"] <= _below(0.05, 400)
    assert _verdicts(0.0, 10)["collect_more_data"] > 0.7


@pytest.mark.slow
def test_x01_clear_cases_get_clear_verdicts() -> None:
    assert _verdicts(1.0, 60)["block_deployment"] > 0.9
    assert _verdicts(0.0, 400)["proceed"] > 0.9
    assert _verdicts(-1.0, 60)["proceed"] > 0.9


def test_b43_x02_fewer_than_ten_scores_are_inconclusive_and_say_what_to_do() -> None:
    got = st.detect_regression([4.0] * 9, [1.0] * 50)
    assert (got.conclusion, got.recommendation) == ("inconclusive", "collect_more_data")
    assert st.detect_regression([], []).recommendation == "collect_more_data"
    assert "9" in got.reason


def test_x03_x04_conclusions_and_fields() -> None:
    rng = np.random.default_rng(8)
    base = rng.normal(4, 0.5, 2000)
    cases = {"regression": -0.6, "improvement": 0.6, "trivial": -0.1, "no_change": 0.0}
    for conclusion, shift in cases.items():
        got = st.detect_regression(base, base + shift)
        assert got.conclusion == conclusion
        assert got.difference == pytest.approx(shift)
        assert got.interval is not None
        assert got.interval.low <= shift <= got.interval.high
        assert got.is_significant is (shift != 0)
        assert got.is_meaningful is (abs(shift) > 0.3)


def test_b12_constant_scores_are_judged_by_the_exact_test() -> None:
    assert st.detect_regression([4] * 10, [3] * 10).conclusion == "regression"
    assert st.detect_regression([4] * 10, [4] * 10).conclusion == "no_change"
    assert st.detect_regression([4] * 10, [3.9] * 10).conclusion == "trivial"
    assert st.detect_regression([3] * 10, [4] * 10).conclusion == "improvement"
    assert st.detect_regression([4] * 10, [4, 1] * 5).conclusion in ("regression", "inconclusive")
