"""Costs: from the packaged prices for models that are known, NULL for those that are not, the sender's own when it says."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from genai_prices import Usage, calc_price

from evalspan.collector.insert import prices
from evalspan.collector.insert.prices import Pricing, price_of
from evalspan.collector.log.framing import frame
from evalspan.errors import QueryError

from .traffic import request_of


def segment(request, project: str) -> bytes:
    return b"".join(frame(request.SerializeToString(), project, 1))


def with_tokens(request, **tokens: int) -> Any:
    span = request.resource_spans[0].scope_spans[0].spans[0]
    for attribute in span.attributes:
        name = attribute.key.rpartition(".")[2]
        if name in tokens:
            attribute.value.int_value = tokens[name]
    if "cached" in tokens:
        span.attributes.add(key="gen_ai.usage.cache_read.input_tokens").value.int_value = tokens["cached"]
    return request


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_known_model_is_priced_an_unknown_one_is_null_and_the_senders_own_cost_stands(
    store, monkeypatch, size: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("pricing opened a connection")

    monkeypatch.setattr(socket, "create_connection", refuse)
    if size == "large":
        monkeypatch.setattr(prices, "_SMALL_BYTES", 0)
    model, project = {"small": "gpt-4o-mini-2024-07-18", "large": "gpt-4o-2024-08-06"}[size], f"prices-{size}"
    known = {"gen_ai.response.model": model}
    pricing = Pricing(store)
    for round_ in ("first", "again"):  # when the model is looked up, and when it is known
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
            pricing.insert(segment(request, project), f"{project} {round_} {name}")
    found = store.query("SELECT name, cost_usd FROM spans WHERE project = {p:String}", {"p": project}).rows
    usage = Usage(input_tokens=1000, cache_read_tokens=400, output_tokens=100)
    expected = float(calc_price(usage, model_ref=model, provider_id="openai").total_price)
    costs = dict(found)
    for round_ in ("first", "again"):
        assert abs(costs[f"{round_} known"] - expected) < 1e-12
        assert costs[f"{round_} unknown"] is None
        assert costs[f"{round_} told"] == 7.5
        assert costs[f"{round_} agent"] is None


def test_the_first_span_of_a_model_is_never_seen_without_its_cost(store) -> None:
    class Watched:
        """The store, and what a reader sees the moment that the spans are in it."""

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def insert_otlp(self, content: bytes, *, token: str) -> None:
            store.insert_otlp(content, token=token)
            rows = store.query("SELECT cost_usd FROM spans WHERE project = 'prices-watched'").rows
            self.seen = [cost for (cost,) in rows]

    watched: Any = Watched()
    request = with_tokens(
        request_of(2, attributes={"gen_ai.response.model": "gpt-4.1-nano-2025-04-14"}), input_tokens=9
    )
    Pricing(watched).insert(segment(request, "prices-watched"), "prices-watched")
    assert len(watched.seen) == 2
    assert None not in watched.seen


def test_a_store_that_takes_no_prices_still_takes_the_spans(store) -> None:
    class Refusing:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def insert(self, table: str, rows: Any) -> None:
            raise QueryError(f"{table} is read-only today")

    request = request_of(1, attributes={"gen_ai.response.model": "gpt-4.1-2025-04-14"})
    refusing: Any = Refusing()
    Pricing(refusing).insert(segment(request, "prices-refused"), "prices-refused")
    assert store.query("SELECT count() FROM spans WHERE project = 'prices-refused'").rows == [(1,)]


def test_a_model_of_another_provider_has_no_price() -> None:
    assert price_of("openai", "claude-sonnet-4-20250514").input_usd is None
    assert price_of("anthropic", "claude-sonnet-4-20250514").input_usd == 3e-6
