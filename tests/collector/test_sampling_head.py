"""Head sampling of one OTLP request: which rule speaks, what is written, what is counted."""

from __future__ import annotations

import math
import random

import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evalspan.collector.sampling import Sampler, SamplingConfig, SamplingRule, build_sampler
from evalspan.collector.sampling.latency import QuantileSketch, RunningQuantile
from evalspan.errors import ConfigError

from .sampling_traffic import Call, add_span, attribute, spans_of

TINY = 1e-6


def call(**changes: object) -> Call:
    values: dict[str, object] = {
        "error": False,
        "slow": False,
        "pattern": False,
        "tier": "free",
        "seconds": 0.5,
        "tokens": 10,
        "trace_id": b"\x01" * 9 + bytes(6) + b"\x07",  # random bits near zero: dropped by any rate below one
    }
    return Call(**{**values, **changes})  # type: ignore[arg-type]


def one(config: SamplingConfig, *calls: Call) -> tuple[list[object], dict[str, int]]:
    request = ExportTraceServiceRequest()
    for each in calls:
        add_span(request, each)
    sampled = Sampler(config).head(request)
    return [attribute(span, "evalspan.sample_rule") for span in spans_of(sampled.request)], dict(sampled.dropped)


def test_without_a_sampling_table_everything_is_kept_unchanged():
    sampler = build_sampler(SamplingConfig())
    request = ExportTraceServiceRequest()
    add_span(request, call())
    before = request.SerializeToString()
    assert sampler.keeps_everything
    assert sampler.head(request).request is request
    assert request.SerializeToString() == before


def test_s01_switching_sampling_on_without_a_rate_means_five_percent():
    assert SamplingConfig(mode="head").base_rate == 0.05
    assert SamplingConfig().base_rate == 1.0


def test_s02_patterns_match_what_the_user_said_in_any_case():
    config = SamplingConfig(rate=TINY, rules=(SamplingRule(name="refunds", patterns=("REFUND",)),))
    assert one(config, call(pattern=True)) == (["refunds"], {})
    assert one(config, call()) == ([], {"base": 1})


def test_s02_patterns_do_not_look_at_what_the_model_said():
    config = SamplingConfig(rate=TINY, rules=(SamplingRule(name="hold", patterns=("hold the button",)),))
    assert one(config, call()) == ([], {"base": 1})


def test_s03_errors_are_kept_by_default_once_sampling_is_on():
    assert one(SamplingConfig(rate=TINY), call(error=True)) == (["errors"], {})
    assert one(SamplingConfig(rate=TINY), call(fields={"error.type": "timeout"})) == (["errors"], {})


def test_s03_a_healthy_span_of_a_failed_trace_in_the_same_request_is_kept_with_it():
    assert one(SamplingConfig(rate=TINY), call(), call(error=True)) == (["errors", "errors"], {})


def test_s04_a_latency_above_the_running_p95_of_its_kind_is_kept():
    rng = random.Random(4)
    sampler = Sampler(SamplingConfig(rate=TINY))

    def rules_of(seconds: float, model: str) -> list[object]:
        request = ExportTraceServiceRequest()
        span = add_span(request, call(seconds=seconds))
        next(pair for pair in span.attributes if pair.key == "gen_ai.request.model").value.string_value = model
        return [attribute(span, "evalspan.sample_rule") for span in spans_of(sampler.head(request).request)]

    assert rules_of(100.0, "fast") == []  # nothing is known about this kind yet
    for _ in range(400):
        rules_of(rng.uniform(0.1, 1.0), "fast")
        rules_of(rng.uniform(10, 20), "thinking")
    assert rules_of(3.0, "fast") == ["slow"]
    assert rules_of(3.0, "thinking") == []


def test_s04_quantiles_are_within_a_hundredth_and_sketches_add_up():
    rng = random.Random(5)
    values = [rng.lognormvariate(0, 2) for _ in range(5000)]
    whole, parts = QuantileSketch(), [QuantileSketch() for _ in range(3)]
    for i, value in enumerate(values):
        whole.add(value)
        parts[i % 3].add(value)
    merged = QuantileSketch()
    for part in parts:
        merged.merge(part)
    for q in (0.01, 0.5, 0.95, 0.999, 1.0):
        true = sorted(values)[math.ceil(q * len(values)) - 1]
        assert whole.quantile(q) == merged.quantile(q) == pytest.approx(true, rel=0.0101)
    assert math.isnan(QuantileSketch().quantile(0.5))


def test_first_match_wins_and_keep_wins_over_all():
    rules = (
        SamplingRule(name="tier", attributes={"evalspan.tag.tier": "free"}),
        SamplingRule(name="errors", errors=True),
    )
    config = SamplingConfig(rate=TINY, rules=rules)
    assert one(config, call(error=True))[0] == ["tier"]
    assert one(config, call(tier="pro", error=True))[0] == ["errors"]
    assert one(config, call(tier="pro", fields={"evalspan.keep": True}))[0] == ["keep"]
    assert one(config, call(tier="pro", fields={"evalspan.keep": "no"}))[0] == []


def test_b04_a_span_sampled_in_the_sdk_keeps_the_sdk_s_weight_when_a_rule_keeps_it():
    request = ExportTraceServiceRequest()
    span = add_span(request, call(error=True, trace_id=b"\xff" * 16))
    span.trace_state = "ot=th:c"
    (kept,) = spans_of(Sampler(SamplingConfig(rate=TINY)).head(request).request)
    assert attribute(kept, "evalspan.sample_weight") == 4.0
    assert kept.trace_state == "ot=th:c"


def test_b04_the_stricter_of_two_samplers_gives_the_weight():
    request = ExportTraceServiceRequest()
    span = add_span(request, call(trace_id=b"\xff" * 16))
    span.trace_state = "ot=th:8"
    (kept,) = spans_of(Sampler(SamplingConfig(rate=0.1, rules=())).head(request).request)
    assert attribute(kept, "evalspan.sample_weight") == pytest.approx(10)


@pytest.mark.parametrize("seconds", [0.25, 1.0, 30.0, 1e-9, 0.1 + 0.2])
def test_s04_where_all_calls_take_equally_long_none_is_slow(seconds):
    clock = iter(range(1_000_000)).__next__
    running = RunningQuantile(0.95, lambda: clock() / 1000, minimum=100)
    kind = ("s", "chat", "m")
    slow = 0
    for _ in range(2_000):
        slow += running.is_slow(kind, seconds)
        running.observe(kind, seconds)
    assert slow == 0
    assert running.is_slow(kind, seconds * 1.03 + 1e-9)


def test_s04_at_most_the_share_above_the_quantile_is_slow_on_ticks_of_a_coarse_clock():
    rng = random.Random(4)
    running = RunningQuantile(0.95, lambda: 0.0)
    kind = ("s", "chat", "m")
    slow = 0
    for _ in range(20_000):
        seconds = rng.choice((0.1, 0.1, 0.1, 0.2, 0.2, 0.3)) if rng.random() < 0.98 else 5.0
        slow += running.is_slow(kind, seconds)
        running.observe(kind, seconds)
    assert 300 <= slow <= 1_000  # the 2 % that take 5 s, and at most the 5 % above the quantile


def test_a_client_cannot_forge_its_weight():
    request = ExportTraceServiceRequest()
    add_span(request, call(trace_id=b"\xff" * 16, fields={"evalspan.sample_weight": "1e9"}))
    (kept,) = spans_of(Sampler(SamplingConfig(rate=0.5, rules=())).head(request).request)
    assert [p.value.double_value for p in kept.attributes if p.key == "evalspan.sample_weight"] == [2.0]


def test_the_body_policy_keeps_the_span_and_its_system_prompt_and_drops_what_was_said():
    messages = [
        {"role": "system", "parts": [{"type": "text", "content": "be kind"}]},
        {"role": "user", "parts": [{"type": "text", "content": "my card is 4111"}]},
    ]
    raw = msgspec.json.encode(messages).decode()
    request = ExportTraceServiceRequest()
    add_span(request, call(fields={"gen_ai.input.messages": raw}))
    (span,) = spans_of(Sampler(SamplingConfig(rate=1.0, rules=(), content_rate=0.001)).head(request).request)
    assert attribute(span, "gen_ai.output.messages") is None
    assert msgspec.json.decode(str(attribute(span, "gen_ai.input.messages"))) == messages[:1]
    assert attribute(span, "evalspan.content_dropped") is True
    assert attribute(span, "gen_ai.usage.output_tokens") == 10
    assert attribute(span, "evalspan.sample_weight") == 1.0


@pytest.mark.parametrize("garbage", ["", "not json", "[1, 2]", '{"a": 1}', '[{"role": "user", "parts": 7}]', "[]"])
def test_input_that_is_not_messages_never_breaks_the_sampler(garbage):
    config = SamplingConfig(rate=TINY, rules=(SamplingRule(name="refunds", patterns=("refund",)),))
    assert one(config, call(fields={"gen_ai.input.messages": garbage})) == ([], {"base": 1})


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ({"rate": 0}, "not a probability"),
        ({"rate": 1.5}, "not a probability"),
        ({"rate": float("nan")}, "not a probability"),
        ({"budget_per_s": -1}, "must be above 0"),
        ({"rules": ({"name": "all"},)}, "no condition"),
        ({"rules": ({"name": "base", "errors": True},)}, "taken"),
        ({"rules": ({"name": "p", "patterns": [" "]},)}, "empty pattern"),
        ({"rules": ({"name": "a", "errors": True}, {"name": "a", "errors": True})}, "twice"),
        ({"rules": ({"name": "s", "slower_than_quantile": 95},)}, "slower_than_quantile"),
    ],
)
def test_bad_settings_say_where_and_how_to_fix_them(toml, says):
    # msgspec wraps what a struct refuses; the settings loader shows the cause.
    with pytest.raises((ConfigError, msgspec.ValidationError), match=says):
        msgspec.convert(toml, SamplingConfig)
