"""Each distribution of ours equals scipy's over many orders of magnitude."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import special, stats

from evalspan.evaluators.statistics import distributions as ours

FREEDOMS = [0.3, 1, 1.7, 2, 3, 4.5, 9, 10, 27.3, 200, 1e4, 1e6, 3e8, math.inf]


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_students_t_in_both_tails_and_back(freedom: float) -> None:
    theirs = stats.norm.cdf if math.isinf(freedom) else lambda t: special.stdtr(freedom, t)
    for t in (-60.0, -8.0, -3.0, -1.0, -0.1, -1e-6, 0.0, 1e-4, 0.7, 2.0, 5.0):
        assert ours.student_cdf(freedom, t) == pytest.approx(
            float(theirs(t)), rel=2e-7 if freedom > 1e7 else 1e-9, abs=1e-300
        )
    for p in (1e-8, 1e-4, 0.01, 0.025, 0.2, 0.5, 0.77, 0.95, 0.975, 0.999, 1 - 1e-7):
        t = ours.student_quantile(freedom, p)
        assert ours.student_cdf(freedom, t) == pytest.approx(p, rel=1e-7)
        expected = float(stats.norm.ppf(p) if math.isinf(freedom) else stats.t.ppf(p, freedom))
        assert t == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("k", "n"), [(1, 1), (1, 2), (3, 10), (0.7, 3.3), (5, 1000), (999, 1000), (12345, 1e6), (5e5, 1e6)]
)
def test_beta_quantiles_for_any_counts(k: float, n: float) -> None:
    for a, b in ((k, n - k + 1), (k + 1, max(n - k, 1e-3))):
        for p in (1e-6, 0.025, 0.3, 0.5, 0.975, 1 - 1e-6):
            assert ours.beta_quantile(a, b, p) == pytest.approx(float(special.betaincinv(a, b, p)), rel=1e-8, abs=1e-14)


def test_normal_quantiles_and_tails() -> None:
    for p in np.geomspace(1e-14, 0.5, 60).tolist():
        assert ours.normal_quantile(p) == pytest.approx(float(special.ndtri(p)), rel=1e-12, abs=1e-15)
        assert ours.normal_cdf(float(special.ndtri(p))) == pytest.approx(p, rel=1e-11)


def test_what_a_t_test_misses() -> None:
    for freedom, shift, critical in itertools.product(
        (1, 2, 3.5, 10, 100, 5e3), (0.0, 0.3, 1.0, 2.8, 6.0, 15.0), (0.5, 1.96, 4.3, 12.7)
    ):
        expected = float(special.nctdtr(freedom, shift, critical) - special.nctdtr(freedom, shift, -critical))
        if not math.isnan(expected):
            assert ours.noncentral_t_missed(freedom, shift, critical) == pytest.approx(expected, abs=3e-9)
    assert ours.noncentral_t_missed(10, 80.0, 2.2) < 1e-12
    assert ours.noncentral_t_missed(2, 40.0, 1000.0) == pytest.approx(float(stats.nct.cdf(1000.0, 2, 40.0)), abs=1e-6)


def test_tables_of_two_by_two() -> None:
    generator = np.random.default_rng(7)
    for size in (3, 12, 60, 4000):
        for _ in range(40):
            a, b, c, d = generator.integers(0, size, 4).tolist()
            table = np.array([[a, b], [c, d]])
            assert ours.fisher_exact_p(a, b, c, d) == pytest.approx(
                float(stats.fisher_exact(table)[1]), rel=1e-6, abs=1e-12
            )
            if (a + b) * (c + d) * (a + c) * (b + d):
                assert ours.chi_square_p(a, b, c, d) == pytest.approx(
                    float(stats.chi2_contingency(table)[1]), rel=1e-9, abs=1e-300
                )
            else:
                with pytest.raises(ValueError, match="empty"):
                    ours.chi_square_p(a, b, c, d)
