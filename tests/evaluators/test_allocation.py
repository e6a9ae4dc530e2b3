"""Judge calls where they tell most: the same interval with fewer calls, honest coverage, no worse where nothing is gained."""

from __future__ import annotations

import numpy as np
import pytest

from evalspan.evaluators.statistics.allocation import (
    Stratum,
    allocate,
    assisted_mean,
    expected_calls,
    pooled_variance,
    stratum_means,
)

Z = 1.959963984540054
# Share of the traffic, and the pass rate of its answers: most traffic is right, one segment and one new prompt are not.
TRAFFIC = {"faq|pass": (0.70, 0.99), "faq|fail": (0.05, 0.55), "orders|pass": (0.20, 0.96), "orders|fail": (0.05, 0.40)}
DAY = 6_000


def draw_day(rng: np.random.Generator, traffic: dict[str, tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    names = np.array(list(traffic))
    which = rng.choice(len(names), DAY, p=[share for share, _ in traffic.values()])
    values = (rng.random(DAY) < np.array([rate for _, rate in traffic.values()])[which]).astype(float)
    return names[which], values


def learned(names: np.ndarray, values: np.ndarray, chosen: np.ndarray) -> dict[str, Stratum]:
    made = {}
    for name in np.unique(names):
        own = values[chosen & (names == name)]
        made[str(name)] = Stratum(float((names == name).sum()), len(own), float(own.var()) if len(own) else 0.0)
    return made


def one_day(
    rng: np.random.Generator, names: np.ndarray, values: np.ndarray, probabilities: dict[str, float]
) -> tuple[float, float, np.ndarray, float]:
    kinds, codes = np.unique(names, return_inverse=True)
    p = np.array([probabilities.get(str(name), max(probabilities.values())) for name in kinds])[codes]
    chosen = rng.random(len(names)) < p
    strata = [str(name) for name in names[chosen]]
    means = stratum_means(list(values[chosen]), list(p[chosen]), strata)
    everything = np.array([means.get(str(name), float(values[chosen].mean())) for name in kinds])[codes]
    found = assisted_mean(values[chosen], p[chosen], [means[name] for name in strata], everything)
    return found.mean, found.standard_error, chosen, float(p.sum())


def simulate(
    traffic: dict[str, tuple[float, float]], days: int = 40, half: float = 0.015, drift: float = 0.0
) -> tuple[float, float]:
    """Share of the uniform sample's calls, and coverage, from the first day on; probabilities are learned day by day."""
    rng = np.random.default_rng(11)
    probabilities, covered, spent, uniform = {}, 0, 0.0, 0.0
    known: dict[str, Stratum] = {}
    for day in range(days):
        now = {name: (share, min(1.0, max(0.0, rate - drift * day / days))) for name, (share, rate) in traffic.items()}
        names, values = draw_day(rng, now)
        probabilities = allocate(known or {"": Stratum(DAY)}, half_width=half, floor=0.01)
        mean, error, chosen, calls = one_day(rng, names, values, probabilities)
        known = learned(names, values, chosen)
        covered += abs(mean - values.mean()) <= Z * error
        if day:  # the first day knows nothing and takes what the largest variance needs
            spent += calls
            uniform += 1 / ((half / Z) ** 2 / values.var() + 1 / DAY)
    return spent / uniform, covered / days


def test_stratified_traffic_takes_at_most_60_percent_of_the_uniform_calls_with_coverage() -> None:
    share, coverage = simulate(TRAFFIC)
    assert share <= 0.60
    assert coverage >= 0.90  # 0.95 is nominal; 40 days


def test_where_nothing_can_be_gained_it_is_no_worse_than_uniform() -> None:
    same = {name: (share, 0.8) for name, (share, _) in TRAFFIC.items()}
    share, coverage = simulate(same)
    assert share <= 1.03
    assert coverage >= 0.90


def test_drifting_variances_keep_coverage() -> None:
    share, coverage = simulate(TRAFFIC, drift=0.3)
    assert coverage >= 0.90
    assert share <= 1.0


def test_a_new_stratum_is_scored_as_often_as_the_pooled_variance_asks() -> None:
    known = {"old": Stratum(10_000, 500, 0.01), "new": Stratum(1_000)}
    chosen = allocate(known, half_width=0.02)
    assert chosen["new"] > 0.9 * chosen["old"]
    assert pooled_variance({"new": Stratum(5.0)}) == 0.25, "where nothing is known the largest variance is assumed"


@pytest.mark.parametrize("calls", [200, 1000, 5000])
def test_a_budget_is_kept_and_the_floor_leaves_nothing_out(calls: float) -> None:
    strata = {"a": Stratum(9_000, 100, 0.0), "b": Stratum(1_000, 100, 0.25)}
    chosen = allocate(strata, calls=calls, floor=0.01)
    assert expected_calls(strata, chosen) <= calls * 1.001
    assert min(chosen.values()) >= 0.01
    assert chosen["b"] > chosen["a"]


def test_an_interval_within_a_budget_takes_the_smaller_of_the_two() -> None:
    strata = {"a": Stratum(10_000, 100, 0.2)}
    narrow = expected_calls(strata, allocate(strata, half_width=0.005))
    assert expected_calls(strata, allocate(strata, half_width=0.005, calls=300)) < narrow
    wide = expected_calls(strata, allocate(strata, half_width=0.1))
    assert expected_calls(strata, allocate(strata, half_width=0.1, calls=5000)) == pytest.approx(wide)


def test_the_assisted_mean_is_right_whatever_the_prediction_is_worth() -> None:
    rng = np.random.default_rng(3)
    truth, covered = rng.normal(0.0, 1.0, 4000), {"good": 0, "noise": 0, "biased": 0}
    predictions = {"good": truth + rng.normal(0, 0.3, 4000), "noise": rng.normal(0, 1, 4000), "biased": truth * 0.5 + 2}
    widths = dict.fromkeys(predictions, 0.0)
    for _ in range(150):
        p = np.clip(rng.random(4000), 0.05, 0.3)
        chosen = rng.random(4000) < p
        for name, predicted in predictions.items():
            found = assisted_mean(truth[chosen], p[chosen], predicted[chosen], predicted)
            covered[name] += found.interval.low <= truth.mean() <= found.interval.high
            widths[name] += found.standard_error
    assert all(count / 150 >= 0.90 for count in covered.values()), covered
    assert widths["good"] < 0.5 * widths["noise"]
