"""Known traffic through each policy: weighted estimates hit the truth, the naive mean does not."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable
from functools import cache

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evalspan.collector.sampling import Sampler, SamplingConfig, SamplingRule

from .sampling_traffic import Call, add_span, attribute, spans_of, traffic

N = 30_000
POLICIES = {
    "base rate only": SamplingConfig(rate=0.1, rules=()),
    "errors and slow": SamplingConfig(rate=0.05),
    "patterns": SamplingConfig(
        rate=0.05, rules=(SamplingRule(name="refunds", patterns=("refund",)), SamplingRule(name="errors", errors=True))
    ),
    "attributes": SamplingConfig(
        rate=0.05, rules=(SamplingRule(name="big", attributes={"evalspan.tag.tier": "enterprise"}, rate=0.5),)
    ),
    "segments with a floor": SamplingConfig(
        rate=0.03, rules=(SamplingRule(name="tiers", segment=("evalspan.tag.tier", "hour"), floor=40, window_s=60),)
    ),
    "budgets": SamplingConfig(
        rate=0.2, budget_per_s=20, rules=(SamplingRule(name="errors", errors=True, budget_per_s=1),)
    ),
}


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def run(config: SamplingConfig, calls: list[Call]) -> list[tuple[Call, float, str]]:
    """Send the calls, 300 a second, through head sampling; the kept ones with weight and rule."""
    clock = Clock()
    sampler = Sampler(config, clock=clock)
    by_id = {call.trace_id: call for call in calls}
    kept = []
    for start in range(0, len(calls), 50):
        clock.now += 50 / 300
        request = ExportTraceServiceRequest()
        for call in calls[start : start + 50]:
            add_span(request, call)
        for span in spans_of(sampler.head(request).request):
            weight, rule = attribute(span, "evalspan.sample_weight"), attribute(span, "evalspan.sample_rule")
            assert isinstance(weight, float)
            kept.append((by_id[span.trace_id], weight, str(rule)))
    return kept


@cache
def sampled(policy: str) -> tuple[list[Call], list[tuple[Call, float, str]]]:
    """The traffic of a policy and what it keeps of it: drawn once for all tests."""
    calls = traffic(random.Random(policy), N)
    return calls, run(POLICIES[policy], calls)


def hajek(kept: list[tuple[Call, float, str]], value: Callable[[Call], float]) -> tuple[float, float]:
    """Estimate and linearised standard error, independent of the package's own statistics."""
    total = sum(weight for _, weight, _ in kept)
    mean = sum(weight * value(call) for call, weight, _ in kept) / total
    variance = sum((1 - 1 / w) * w * w * (value(call) - mean) ** 2 for call, w, _ in kept) / total**2
    return mean, math.sqrt(variance)


METRICS: dict[str, Callable[[Call], float]] = {
    "error rate": lambda call: float(call.error),
    "latency": lambda call: call.seconds,
    "tokens": lambda call: float(call.tokens),
}


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
def test_b02_b04_weighted_estimates_are_within_four_standard_errors_of_the_truth(policy):
    calls, kept = sampled(policy)
    assert 200 < len(kept) < N / 2
    for metric, value in METRICS.items():
        truth = sum(map(value, calls)) / N
        estimate, error = hajek(kept, value)
        assert abs(estimate - truth) <= 4 * error + 1e-12, f"{metric}: {estimate} ± {error}, truth {truth}"
    # The weights also add up to the traffic, so totals such as cost are right.
    assert sum(weight for _, weight, _ in kept) == pytest.approx(N, rel=0.12)


# What each policy looks at or leans towards, so that a plain mean over what it kept is off. A base rate looks at nothing.
INFORMED = {
    "errors and slow": ("error rate", "latency"),
    "patterns": ("error rate", "tokens"),
    "attributes": ("tokens",),
    "segments with a floor": ("tokens",),
    "budgets": ("error rate",),
}


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
def test_b02_the_naive_mean_of_the_kept_rows_is_off_wherever_sampling_is_informed(policy):
    calls, kept = sampled(policy)
    for metric, value in METRICS.items():
        truth = sum(map(value, calls)) / N
        values = [value(call) for call, _, _ in kept]
        naive, error = statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))
        if metric in INFORMED.get(policy, ()):
            assert abs(naive - truth) > 4 * error, f"{metric}: naive {naive} ± {error}, truth {truth}"
            assert abs(hajek(kept, value)[0] - truth) < abs(naive - truth), metric
        elif policy not in INFORMED:
            assert abs(naive - truth) <= 4 * error, f"{metric}: naive {naive} ± {error}, truth {truth}"


@pytest.mark.slow
def test_b03_the_effective_base_rate_is_the_one_that_was_asked_for():
    calls = traffic(random.Random(3), N)
    kept = run(SamplingConfig(rate=0.05, rules=()), calls)
    assert abs(len(kept) - 0.05 * N) < 4 * math.sqrt(N * 0.05 * 0.95)


@pytest.mark.slow
def test_b05_an_incident_in_which_everything_fails_stays_within_the_budget_and_unbiased():
    calls = traffic(random.Random(7), N)
    for call in calls:
        call.error = True
    kept = run(SamplingConfig(rate=0.05, rules=(SamplingRule(name="errors", errors=True, budget_per_s=5),)), calls)
    seconds = N / 300
    assert len(kept) < 5 * seconds * 2.5  # the first window learns the rate; after it the budget holds
    assert sum(weight for _, weight, _ in kept) == pytest.approx(N, rel=0.15)


@pytest.mark.slow
def test_b06_s05_s06_a_rare_segment_of_tier_and_hour_meets_its_floor_and_carries_its_true_weight():
    calls, kept = sampled("segments with a floor")
    rare = [(call, weight, rule) for call, weight, rule in kept if call.tier == "enterprise"]
    offered = sum(call.tier == "enterprise" for call in calls)
    assert len(rare) > 3 * 0.03 * offered
    assert sum(weight for _, weight, _ in rare) == pytest.approx(offered, rel=0.3)


def test_the_body_policy_keeps_the_content_of_its_share_of_the_kept_traces():
    request = ExportTraceServiceRequest()
    for call in traffic(random.Random(21), 4000):
        add_span(request, call)
    kept = spans_of(Sampler(SamplingConfig(rate=0.5, rules=(), content_rate=0.2)).head(request).request)
    with_content = sum(attribute(span, "gen_ai.output.messages") is not None for span in kept)
    assert abs(with_content - 0.2 * len(kept)) < 4 * math.sqrt(len(kept) * 0.2 * 0.8)
