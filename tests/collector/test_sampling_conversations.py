"""Sampling by conversation: all traces of one are kept together, on every collector, and estimates per conversation hold."""

from __future__ import annotations

import math
import random
import statistics
from typing import NamedTuple

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from evalspan.collector.sampling import Sampler, SamplingConfig, SamplingRule
from evalspan.collector.sampling.probability import randomness_of_conversation
from evalspan.errors import ConfigError

from .sampling_traffic import attribute, spans_of

RULES = (SamplingRule(name="errors", errors=True), SamplingRule(name="noise", attributes={"noise": True}, rate=0.001))


class Turn(NamedTuple):
    trace_id: bytes
    failed: bool
    noise: bool


def conversations(rng: random.Random, n: int) -> dict[str, list[Turn]]:
    """Long conversations fail more often: who weights them wrongly sees it."""
    found = {}
    for number in range(n):
        turns = rng.choice([1, 1, 2, 3, 8])
        rate = 0.02 if turns < 5 else 0.2
        found[f"c{number}"] = [Turn(rng.randbytes(16), rng.random() < rate, rng.random() < 0.1) for _ in range(turns)]
    return found


def kept(config: SamplingConfig, everything: dict[str, list[Turn]], collectors: int = 2, state: str = "") -> dict[str, list[Span]]:  # fmt: skip
    """The kept spans by conversation; the traces go to the collectors in turn, which never talk."""
    samplers = [Sampler(config) for _ in range(collectors)]
    found: dict[str, list[Span]] = {}
    for number, (name, turns) in enumerate(everything.items()):
        for at, turn in enumerate(turns):
            request = ExportTraceServiceRequest()
            span = request.resource_spans.add().scope_spans.add().spans.add()
            span.trace_id, span.span_id, span.name, span.trace_state = turn.trace_id, bytes(7) + b"1", "chat", state
            span.attributes.add(key="gen_ai.conversation.id").value.string_value = name
            span.attributes.add(key="noise").value.bool_value = turn.noise
            span.status.code = Status.STATUS_CODE_ERROR if turn.failed else Status.STATUS_CODE_UNSET
            for one in spans_of(samplers[(number + at) % collectors].head(request).request):
                found.setdefault(name, []).append(one)
    return found


def whole_weight(spans: list[Span]) -> float | None:
    """The conversation's weight as online evaluation reads it: None where it is not known for all of its spans."""
    weights = {attribute(span, "evalspan.conversation_weight") for span in spans}
    only = weights.pop() if len(weights) == 1 else None
    return only if isinstance(only, float) else None


@pytest.mark.slow
def test_a_conversation_is_kept_whole_or_only_by_rules_and_says_which() -> None:
    everything = conversations(random.Random(1), 3000)
    config = SamplingConfig(key="conversation", rate=0.2, rules=RULES)
    for name, spans in kept(config, everything).items():
        weight = whole_weight(spans)
        if weight is None:
            assert all(attribute(span, "evalspan.sample_rule") == "errors" for span in spans)
            assert {attribute(span, "evalspan.conversation_weight") for span in spans} == {None}
        else:
            assert weight == pytest.approx(5)
            assert len(spans) == len(everything[name])


@pytest.mark.slow
def test_estimates_per_conversation_are_right_by_conversation_and_biased_by_trace() -> None:
    """The share of conversations with a failure: the truth lies in the interval of one and outside of the other's."""
    everything = conversations(random.Random(2), 20_000)
    truth = statistics.fmean(any(turn.failed for turn in turns) for turns in everything.values())

    def estimate(found: dict[str, list[Span]], weights: dict[str, float]) -> tuple[float, float]:
        values = {name: float(any(span.status.code == 2 for span in found[name])) for name in weights}
        total = sum(weights.values())
        mean = sum(weights[name] * values[name] for name in weights) / total
        error = math.sqrt(sum((weights[name] * (values[name] - mean)) ** 2 for name in weights)) / total
        return mean, error

    together = kept(SamplingConfig(key="conversation", rate=0.2, rules=RULES), everything)
    weights = {name: weight for name, spans in together.items() if (weight := whole_weight(spans)) is not None}
    mean, error = estimate(together, weights)
    assert abs(mean - truth) < 4 * error
    assert sum(weights.values()) == pytest.approx(len(everything), rel=0.05)
    apart = kept(SamplingConfig(rate=0.2, rules=RULES), everything)
    first = {name: float(attribute(spans[0], "evalspan.sample_weight") or 0) for name, spans in apart.items()}  # type: ignore[arg-type]
    mean, error = estimate(apart, first)
    assert abs(mean - truth) > 4 * error
    assert all(whole_weight(spans) is None for spans in apart.values())


@pytest.mark.slow
def test_estimates_per_trace_stay_right_under_conversation_sampling() -> None:
    everything = conversations(random.Random(3), 10_000)
    turns = [turn for one in everything.values() for turn in one]
    found = [span for spans in kept(SamplingConfig(key="conversation", rate=0.1, rules=RULES), everything).values() for span in spans]  # fmt: skip
    weights = [float(attribute(span, "evalspan.sample_weight")) for span in found]  # type: ignore[arg-type]
    assert sum(weights) == pytest.approx(len(turns), rel=0.09)
    failed = sum(weight for span, weight in zip(found, weights, strict=True) if span.status.code == 2)
    assert failed == pytest.approx(sum(turn.failed for turn in turns), rel=0.03)


def test_traces_without_a_conversation_are_decided_by_their_own_id() -> None:
    rng = random.Random(4)
    sampler = Sampler(SamplingConfig(key="conversation", rate=0.3, rules=()))
    weights = []
    for _ in range(4000):
        request = ExportTraceServiceRequest()
        span = request.resource_spans.add().scope_spans.add().spans.add()
        span.trace_id, span.span_id = rng.randbytes(16), bytes(7) + b"1"
        for one in spans_of(sampler.head(request).request):
            assert attribute(one, "evalspan.conversation_weight") is None
            assert "th:" in one.trace_state
            weights.append(attribute(one, "evalspan.sample_weight"))
    assert sum(map(float, weights)) == pytest.approx(4000, rel=0.1)  # type: ignore[arg-type]


def test_after_a_sampler_of_the_app_no_conversation_is_known_to_be_whole_and_probabilities_multiply() -> None:
    everything = {f"c{n}": [Turn(b"\xff" * 16, failed=False, noise=False)] for n in range(500)}
    found = kept(SamplingConfig(key="conversation", rate=0.5, rules=()), everything, state="ot=th:8")
    assert 200 < len(found) < 300
    for spans in found.values():
        assert whole_weight(spans) is None
        assert attribute(spans[0], "evalspan.sample_weight") == pytest.approx(4)
        assert spans[0].trace_state == "ot=th:8"


def test_a_client_cannot_forge_the_weight_of_its_conversation() -> None:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id = b"\xff" * 16, bytes(7) + b"1"
    span.attributes.add(key="evalspan.conversation_weight").value.double_value = 1000.0
    (one,) = spans_of(Sampler(SamplingConfig(key="trace", rate=1.0, mode="head", rules=())).head(request).request)
    assert attribute(one, "evalspan.conversation_weight") is None


def test_random_bits_of_conversations_are_spread_evenly_and_the_same_everywhere() -> None:
    bits = [randomness_of_conversation(f"c{n}") / (1 << 56) for n in range(4000)]
    assert statistics.fmean(bits) == pytest.approx(0.5, abs=0.02)
    assert randomness_of_conversation("c1") == randomness_of_conversation("c1")
    assert randomness_of_conversation("\ud800") >= 0


def test_a_budget_on_the_base_rate_does_not_go_with_conversations() -> None:
    with pytest.raises(ConfigError, match="budget"):
        SamplingConfig(key="conversation", rate=0.1, budget_per_s=10)
