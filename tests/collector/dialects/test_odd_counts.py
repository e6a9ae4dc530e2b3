"""A count that is no count costs neither the rest of its span nor the request's other spans."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evalspan.collector.dialects import normalise
from evalspan.collector.dialects.attributes import any_value

INPUT, OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
# What is sent as the count of the input, and the count that it is.
COUNTS: list[tuple[Any, int | None]] = [
    (12, 12), (12.0, 12), ("12", 12), ("12.0", 12), (" 12 ", 12), ("1e3", 1000), (0, 0), (2**63 - 1, 2**63 - 1),
    (-3, None), ("-3", None), ("²", None), ("many", None), ("", None), ("nan", None), ("inf", None), (1e300, None),
    (float(2**63), None), (str(2**63), None), ("9" * 5000, None), (True, None),
]  # fmt: skip


def openinference(count: Any) -> dict[str, Any]:
    return {"openinference.span.kind": "LLM", "llm.token_count.prompt": count, "llm.token_count.completion": 5}


def langfuse(count: Any) -> dict[str, Any]:
    usage = json.dumps({"input": count, "output": 5})
    return {"langfuse.observation.type": "generation", "langfuse.observation.usage_details": usage}


def normalised(*spans: dict[str, Any]) -> list[dict[str, Any]]:
    request = ExportTraceServiceRequest()
    stored = request.resource_spans.add().scope_spans.add()
    for number, attributes in enumerate(spans):
        span = stored.spans.add(name="call", trace_id=b"1" * 16, span_id=bytes([number + 1] * 8))
        for key, value in attributes.items():
            kind = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value"}[type(value)]
            setattr(span.attributes.add(key=key).value, kind, value)
    normalise(request)
    return [{pair.key: any_value(pair.value) for pair in span.attributes} for span in stored.spans]


@pytest.mark.parametrize(("sent", "count"), COUNTS)
@pytest.mark.parametrize("dialect", [openinference, langfuse])
def test_an_odd_count_costs_only_itself(dialect: Any, sent: Any, count: int | None) -> None:
    odd, plain = normalised(dialect(sent), dialect(7))
    assert (odd.get(INPUT), odd[OUTPUT]) == (count, 5)
    assert (plain[INPUT], plain[OUTPUT]) == (7, 5)


@pytest.mark.parametrize("huge", [10**30, 2**63, float("1e300")])
def test_a_huge_number_inside_json_costs_only_itself(huge: Any) -> None:
    odd, plain = normalised(langfuse(huge), langfuse(7))
    assert (odd.get(INPUT), odd[OUTPUT], plain[INPUT]) == (None, 5, 7)


def test_cached_tokens_sent_as_text_are_part_of_the_input() -> None:
    usage = json.dumps({"input": "100", "input_cached_tokens": "40", "output": "5"})
    (span,) = normalised({"langfuse.observation.type": "generation", "langfuse.observation.usage_details": usage})
    assert (span[INPUT], span["gen_ai.usage.cache_read.input_tokens"], span[OUTPUT]) == (140, 40, 5)
