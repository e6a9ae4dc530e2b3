"""The arithmetic of consistent probability sampling: thresholds, weights, trace state."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalspan.collector.sampling import probability as p


@pytest.mark.parametrize(
    ("text", "weight"),
    [("th:c", 4.0), ("th:8", 2.0), ("th:0", 1.0), ("th:fd70a3d70a3d7", 100.0), ("rv:ffffffffffffff;th:f", 16.0)],
)
def test_b04_an_incoming_threshold_becomes_the_weight_of_the_specification(text, weight):
    threshold = p.incoming_threshold(f"ot={text}", p.SPACE - 1)
    assert p.weight_of(threshold) == pytest.approx(weight, rel=1e-10)


def test_b04_a_threshold_that_contradicts_the_trace_id_is_not_believed():
    assert p.incoming_threshold("ot=th:c", p.randomness_of(bytes(16))) == 0


@pytest.mark.parametrize(
    "state", ["", "ot=", "ot=th:", "ot=th:xyz", "ot=th", "vendor=th:c", "ot=th:123456789012345", ",,="]
)
def test_malformed_trace_state_counts_as_not_sampled(state):
    assert p.incoming_threshold(state, p.SPACE - 1) == 0


def test_explicit_randomness_wins_over_the_trace_id():
    trace_id = os.urandom(16)
    assert p.randomness_of(trace_id, "other=1,ot=th:0;rv:00000000000abc") == 0xABC
    assert p.randomness_of(trace_id, "ot=rv:short") == int.from_bytes(trace_id[9:], "big")


@given(st.floats(1e-9, 1.0))
def test_a_probability_survives_the_way_through_threshold_weight_and_trace_state(probability):
    threshold = p.threshold_of(probability)
    assert p.weight_of(threshold) == pytest.approx(1 / probability, rel=1e-6)
    state = p.with_threshold("vendor=x,ot=rv:ffffffffffffff;th:0", threshold)
    assert p.incoming_threshold(state, p.SPACE - 1) == threshold
    assert state.endswith(",vendor=x")
    assert "rv:ffffffffffffff" in state


@given(st.binary(min_size=16, max_size=16), st.floats(0.001, 1), st.floats(0.001, 1))
def test_b06_two_samplers_agree_the_looser_keeps_whatever_the_stricter_keeps(trace_id, a, b):
    randomness = p.randomness_of(trace_id)
    strict, loose = p.threshold_of(min(a, b)), p.threshold_of(max(a, b))
    assert not (randomness >= strict and randomness < loose)
