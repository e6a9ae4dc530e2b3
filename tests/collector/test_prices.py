"""Costs: from the packaged prices for models that are known, NULL for those that are not, the sender's own when it says."""

from __future__ import annotations

import socket
from typing import Any

from genai_prices import Usage, calc_price

from evalspan.collector.log.framing import frame
from evalspan.collector.prices import Pricing, price_of

from .traffic import request_of


def put(store, request, token: str) -> None:
    store.insert_otlp(b"".join(frame(request.SerializeToString(), "prices", 1)), token=token)


def with_tokens(request, **tokens: int) -> Any:
    span = request.resource_spans[0].scope_spans[0].spans[0]
    for attribute in span.attributes:
        name = attribute.key.rpartition(".")[2]
        if name in tokens:
            attribute.value.int_value = tokens[name]
    if "cached" in tokens:
        span.attributes.add(key="gen_ai.usage.cache_read.input_tokens").value.int_value = tokens["cached"]
    return request


def test_a_known_model_is_priced_an_unknown_one_is_null_and_the_senders_own_cost_stands(store, monkeypatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("pricing opened a connection")

    monkeypatch.setattr(socket, "create_connection", refuse)
    known = {"gen_ai.response.model": "gpt-4o-mini-2024-07-18"}
    pricing = Pricing(store)
    for round_ in ("before", "after"):  # before and after the model was looked up
        calls = {
            "known": with_tokens(request_of(1, attributes=known), input_tokens=1000, output_tokens=100, cached=400),
            "unknown": request_of(1, attributes={"gen_ai.response.model": "nobody-knows-me"}),
            "told": request_of(1, attributes=known),
            "agent": request_of(1, attributes={**known, "gen_ai.operation.name": "invoke_agent"}),
        }
        told = calls["told"].resource_spans[0].scope_spans[0].spans[0]
        told.attributes.add(key="evalspan.cost_usd").value.double_value = 7.5
        for name, request in calls.items():
            request.resource_spans[0].scope_spans[0].spans[0].name = f"{round_} {name}"
            put(store, request, f"{round_} {name}")
        pricing.inserted()
    found = store.query("SELECT name, cost_usd FROM spans WHERE project = 'prices' ORDER BY name").rows
    usage = Usage(input_tokens=1000, cache_read_tokens=400, output_tokens=100)
    expected = float(calc_price(usage, model_ref="gpt-4o-mini-2024-07-18", provider_id="openai").total_price)
    costs = dict(found)
    for round_ in ("before", "after"):
        assert abs(costs[f"{round_} known"] - expected) < 1e-12
        assert costs[f"{round_} unknown"] is None
        assert costs[f"{round_} told"] == 7.5
        assert costs[f"{round_} agent"] is None


def test_a_model_of_another_provider_has_no_price() -> None:
    assert price_of("openai", "claude-sonnet-4-20250514").input_usd is None
    assert price_of("anthropic", "claude-sonnet-4-20250514").input_usd == 3e-6
