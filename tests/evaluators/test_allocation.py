"""Judge calls where they tell most: the same interval with fewer calls, honest coverage, no worse where nothing is gained."""

from __future__ import annotations

import numpy as np
import pytest

from evalspan.evaluators.statistics.allocation import (
    AssistedMean,
    Stratum,
    allocate,
    assisted_mean,
    expected_calls,
    pooled_variance,
    post_stratified_mean,
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
) -> tuple[AssistedMean, np.ndarray, float]:
    kinds, codes, sizes = np.unique(names, return_inverse=True, return_counts=True)
    p = np.array([probabilities.get(str(name), max(probabilities.values())) for name in kinds])[codes]
    chosen = rng.random(len(names)) < p
    sized = {str(name): float(size) for name, size in zip(kinds, sizes, strict=True)}
    found = post_stratified_mean(values[chosen], p[chosen], [str(name) for name in names[chosen]], sized)
    return found, chosen, float(p.sum())


def simulate(
    traffic: dict[str, tuple[float, float]],
    days: int = 1000,
    half: float = 0.015,
    *,
    swing: float = 0.0,
    arrives: str = "",
) -> tuple[float, float, float]:
    """Share of the uniform sample's calls, coverage of all days, and coverage of the first day after a change or a start.

    Probabilities are learned day by day, and forgotten every twenty days; within these `swing` moves all rates down and up
    again, and the stratum `arrives` is not there in the first ten.
    """
    rng = np.random.default_rng(11)
    covered, first, firsts, spent, uniform = 0, 0, 0, 0.0, 0.0
    known: dict[str, Stratum] = {}
    for day in range(days):
        at = day % 20
        known = known if at else {}
        moved = swing * np.sin(np.pi * at / 20)
        now = {
            name: (share, float(np.clip(rate - moved, 0, 1)))
            for name, (share, rate) in traffic.items()
            if at >= 10 or name != arrives
        }
        whole = sum(share for share, _ in now.values())
        names, values = draw_day(rng, {name: (share / whole, rate) for name, (share, rate) in now.items()})
        probabilities = allocate(known or {"": Stratum(DAY)}, half_width=half, floor=0.01)
        found, chosen, calls = one_day(rng, names, values, probabilities)
        inside = found.interval.low <= values.mean() <= found.interval.high
        covered += inside
        if at in (0, 10 if arrives else 0):
            first, firsts = first + inside, firsts + 1
        known = learned(names, values, chosen)
        if at:  # the first day knows nothing and takes what the largest variance needs
            spent += calls
            uniform += 1 / ((half / Z) ** 2 / values.var() + 1 / DAY)
    return spent / uniform, covered / days, first / firsts


LEAST = 0.95 - 2.5 * (0.95 * 0.05 / 1000) ** 0.5
"""Of a thousand days: below it an interval does not hold 95 % (p < 0.007)."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("traffic", "more", "at_most"),
    [
        (TRAFFIC, {}, 0.60),
        ({name: (share, 0.8) for name, (share, _) in TRAFFIC.items()}, {}, 1.03),
        (TRAFFIC, {"swing": 0.3}, 1.0),
        (TRAFFIC, {"arrives": "orders|fail"}, 0.65),
    ],
    ids=["stratified", "nothing to gain", "drifting variances", "a new stratum"],
)
def test_the_interval_holds_95_percent_with_the_calls_that_are_promised(traffic, more, at_most) -> None:
    share, coverage, first = simulate(traffic, **more)
    assert share <= at_most
    assert coverage >= LEAST
    assert first >= 0.95 - 2.5 * (0.95 * 0.05 / 50) ** 0.5


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
