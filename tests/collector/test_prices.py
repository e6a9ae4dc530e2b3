"""Costs: from the packaged prices for models that are known, NULL for those that are not, the sender's own when it says."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
from genai_prices import Usage, calc_price
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from evalspan.collector.insert import prices
from evalspan.collector.insert.price_settings import PriceSetting
from evalspan.collector.insert.prices import Pricing
from evalspan.collector.log.framing import frame
from evalspan.errors import ConfigError, QueryError
from evalspan.queries.ingest_stats import unpriced_calls
from evalspan.queries.price_list import list_price
from evalspan.queries.prices import ModelKey

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


@pytest.mark.slow
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
    pricing = Pricing(refusing)
    pricing.insert(segment(request, "prices-refused"), "prices-refused")
    assert store.query("SELECT count() FROM spans WHERE project = 'prices-refused'").rows == [(1,)]
    del Refusing.insert  # the store takes prices again, and a call of the model arrives
    later = request_of(1, attributes={"gen_ai.response.model": "gpt-4.1-2025-04-14"})
    pricing.insert(segment(later, "prices-refused"), "prices-refused-later")
    sql = "SELECT count(), countIf(cost_usd > 0), countIf(unpriced_reason = '') FROM spans WHERE project = 'prices-refused'"
    assert store.query(sql).rows == [(2, 2, 2)]


@pytest.mark.slow
def test_a_price_that_comes_later_changes_the_cost_of_stored_calls_and_nothing_else_of_them(store) -> None:
    """Whatever a call carries: bodies under any name, events, links, weights, nested and lost roles, times."""
    project, ours = "prices-later", {"gen_ai.request.model": "not-priced-yet", "gen_ai.response.model": ""}
    bare = Pricing(store)
    bare.reprice(3600)  # what other tests left in the store they share
    requests = {
        "plain": request_of(2, attributes=ours),
        "sampled": request_of(1, attributes={**ours, "evalspan.sample_weight": "4", "evalspan.sample_rule": "slow"}),
        "exclusive": request_of(1, attributes={**ours, "gen_ai.usage.cache_read.input_tokens": "500"}),
        "other bodies": request_of(1, attributes={**ours, "evalspan.input": "asked", "evalspan.output": "said"}),
        "lost its role and has it again": request_of(
            1,
            attributes={**ours, "gen_ai.operation.name": "", "evalspan.role": "call", "evalspan.nested_operation": ""},
        ),
        "two bodies": request_of(1, attributes={**ours, "evalspan.input": "asked"}),
        "system": request_of(1, attributes={**ours, "gen_ai.system_instructions": '[{"content": "be kind"}]'}),
        "failed": request_of(1, attributes={**ours, "error.type": "Timeout"}),
        "an agent": request_of(1, attributes={**ours, "gen_ai.operation.name": "invoke_agent"}),
        "another model": request_of(1, attributes={"gen_ai.request.model": "never-priced"}),
    }
    for name, request in requests.items():
        span = request.resource_spans[0].scope_spans[0].spans[0]
        request.resource_spans[0].scope_spans[0].scope.name = name
        span.parent_span_id, span.trace_state = b"\1" * 8, "vendor=1"
        span.events.add(name="note", time_unix_nano=span.start_time_unix_nano + 5).attributes.add(
            key="k"
        ).value.string_value = "v"
        span.links.add(trace_id=b"\2" * 16, span_id=b"\3" * 8)
        if name == "other bodies":
            kept = [one for one in span.attributes if not one.key.endswith("messages")]
            del span.attributes[:]
            span.attributes.extend(kept)
        if name == "failed":
            span.status.MergeFrom(Status(code=Status.STATUS_CODE_ERROR, message="too slow"))
        bare.insert(segment(request, project), f"later {name}")
    changing = "cost_usd, computed_cost_usd, unpriced_reason, inserted_at"
    unchanged = f"SELECT * EXCEPT ({changing}) FROM spans WHERE project = '{project}' ORDER BY trace_id"
    costs = f"SELECT scope_name, cost_usd FROM spans WHERE project = '{project}' ORDER BY trace_id"
    before = store.query(unchanged).rows
    assert all(cost is None for _, cost in store.query(costs).rows)
    priced = Pricing(store, [PriceSetting("not-priced-yet", 1e-6, 1e-6)])
    assert priced.reprice(3600) == 9
    assert store.query(unchanged).rows == before
    for name, cost in store.query(costs).rows:
        tokens = {"exclusive": 512 + 34, "an agent": None, "another model": None}.get(name, 12 + 34)
        assert cost == (None if tokens is None else pytest.approx(tokens * 1e-6)), name
    assert priced.reprice(3600) == 0


@pytest.mark.parametrize(
    ("provider", "model", "dollars"),
    [
        ("anthropic", "claude-sonnet-4-20250514", 3e-6),
        ("openai", "claude-sonnet-4-20250514", 3e-6),  # OpenAI's client in front of a gateway
        ("openai", "openai/gpt-4o", 2.5e-6),
        ("openrouter", "openai/gpt-4o", 2.5e-6),
        ("openai", "azure/gpt-4o", 2.5e-6),
        ("litellm", "gpt-4o", 2.5e-6),
        ("strands-agents", "gpt-4.1-mini", 4e-7),
        ("langchain", "gpt-4o", 2.5e-6),
        ("", "models/gemini-2.5-flash", 3e-7),
        ("", "text-embedding-3-small", 2e-8),
        ("some-gateway", "sonar-pro", 3e-6),
        ("gcp.gen_ai", "gemini-2.5-flash", 3e-7),
        ("x_ai", "grok-4", 3e-6),
        ("azure.ai.inference", "gpt-4o", 2.5e-6),
        ("azure.ai.openai", "gpt-4o-2024-08-06", 2.5e-6),
        ("aws.bedrock", "us.anthropic.claude-sonnet-4-20250514-v1:0", 3e-6),
        ("moonshot_ai", "kimi-k2", 5.7e-7),
        ("ollama", "gpt-4o", None),
        ("openai", "our-finetune", None),
        ("openai", "meta-llama/Llama-3.1-8B-Instruct", None),  # mostly a machine of one's own
        ("", "", None),
    ],
)
def test_a_model_is_looked_up_by_whatever_names_a_span_carries(
    provider: str, model: str, dollars: float | None
) -> None:
    found = list_price(ModelKey(provider, model, ""))
    if dollars is None:
        assert not found.rates
        assert found.reason
    else:
        assert found.rates[0][4] == pytest.approx(dollars)


SONNET = {"gen_ai.provider.name": "anthropic", "gen_ai.response.model": "claude-sonnet-4-5-20250929"}
GPT5 = {"gen_ai.provider.name": "openai", "gen_ai.response.model": "gpt-5-2025-08-07"}
NIGHT, DAY = 1_790_035_200, 1_790_046_000  # 00:00 and 03:00 UTC


def usage(given: Any, taken: Any, **more: Any) -> dict[str, Any]:
    named = {f"gen_ai.usage.{name.replace('__', '.')}": value for name, value in more.items()}
    return {"gen_ai.usage.input_tokens": given, "gen_ai.usage.output_tokens": taken, **named}


WRITE_1H, SEARCHES = "evalspan.usage.cache_write_1h.input_tokens", "evalspan.usage.web_searches"
PRICED: dict[str, tuple[dict[str, Any], float | str]] = {
    "cached and written": (
        {**SONNET, **usage(1700, 50, cache_read__input_tokens=1000, cache_creation__input_tokens=200)},
        500 * 3e-6 + 1000 * 3e-7 + 200 * 3.75e-6 + 50 * 1.5e-5,
    ),
    "totals without what was cached": (
        {**SONNET, **usage(500, 50, cache_read__input_tokens=1000, cache_write__input_tokens=200)},
        500 * 3e-6 + 1000 * 3e-7 + 200 * 3.75e-6 + 50 * 1.5e-5,
    ),
    "written for an hour": (
        {**SONNET, **usage(300, 0, cache_write__input_tokens=200), WRITE_1H: 150},
        100 * 3e-6 + 50 * 3.75e-6 + 150 * 6e-6,
    ),
    "above the threshold": ({**SONNET, **usage(200_001, 10)}, 200_001 * 6e-6 + 10 * 2.25e-5),
    "web searches": ({**SONNET, **usage(100, 10), SEARCHES: 3}, 100 * 3e-6 + 10 * 1.5e-5 + 0.03),
    "a search without a price": (
        {"gen_ai.provider.name": "cohere", "gen_ai.request.model": "command-r", **usage(1, 1), SEARCHES: 1},
        "no price for a kind of token or search of the call",
    ),
    "flex": ({**GPT5, **usage(1000, 100), "openai.response.service_tier": "flex"}, 1000 * 6.25e-7 + 100 * 5e-6),
    "priority": ({**GPT5, **usage(1000, 100), "openai.response.service_tier": "priority"}, 1000 * 2.5e-6 + 100 * 2e-5),
    "batch": ({**SONNET, **usage(1000, 100), "evalspan.service_tier": "batch"}, 1000 * 1.5e-6 + 100 * 7.5e-6),
    "default": ({**GPT5, **usage(1000, 100), "openai.response.service_tier": "default"}, 1000 * 1.25e-6 + 100 * 1e-5),
    "unknown tier": (
        {**GPT5, **usage(1000, 100), "openai.response.service_tier": "scale"},
        "no price for service tier scale",
    ),
    "fee for a request": (
        {"gen_ai.provider.name": "perplexity", "gen_ai.request.model": "sonar-pro", **usage(10_000, 1000)},
        0.059,
    ),
    "by night": (
        {"gen_ai.provider.name": "deepseek", "gen_ai.request.model": "deepseek-chat", **usage(1000, 100), "at": NIGHT},
        1000 * 1.35e-7 + 100 * 5.5e-7,
    ),
    "by day": (
        {"gen_ai.provider.name": "deepseek", "gen_ai.request.model": "deepseek-chat", **usage(1000, 100), "at": DAY},
        1000 * 2.7e-7 + 100 * 1.1e-6,
    ),
    "audio": (
        {
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-transcribe",
            **usage(100, 10, audio__input_tokens=90),
        },
        10 * 2.5e-6 + 90 * 6e-6 + 10 * 1e-5,
    ),
    "audio without a price": (
        {
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-audio-preview",
            **usage(100, 10, audio__input_tokens=90),
        },
        "no price for a kind of token or search of the call",
    ),
    "a gateway's own cost": (
        {"gen_ai.provider.name": "openai", "gen_ai.request.model": "openai/gpt-4o", **usage(1000, 100, cost=0.00123)},
        0.00123,
    ),
    "a gateway's 0 for a priced model": ({**GPT5, **usage(1000, 100, cost=0)}, 1000 * 1.25e-6 + 100 * 1e-5),
    "a gateway's 0 as text": ({**GPT5, **usage(1000, 100, cost="0.0")}, 1000 * 1.25e-6 + 100 * 1e-5),
    "ours, a gateway's 0": (
        {**GPT5, **usage(1000, 100), "evalspan.reported_cost_usd": 0.0},
        1000 * 1.25e-6 + 100 * 1e-5,
    ),
    "a cost below nothing": ({**GPT5, **usage(1000, 100, cost=-1)}, 1000 * 1.25e-6 + 100 * 1e-5),
    "a gateway's 0 for nothing": ({**GPT5, **usage(0, 0, cost=0)}, 0.0),
    "a gateway's 0 for what nobody prices": ({"gen_ai.request.model": "m-1:free", **usage(1, 1, cost=0)}, 0.0),
    "text": ({**GPT5, **usage("1000", "100")}, 1000 * 1.25e-6 + 100 * 1e-5),
    "no usage": (GPT5, "no token counts were sent"),
    "no model": ({**usage(1, 1), "gen_ai.operation.name": "chat"}, "no model was sent"),
    "nobody knows it": ({"gen_ai.request.model": "m-1", **usage(1, 1)}, "the model has no known price"),
    "by hand": ({"gen_ai.provider.name": "openai", "gen_ai.request.model": "ours", **usage(1000, 100)}, 0.012),
    "by hand, any provider": (
        {"gen_ai.provider.name": "whoever", "gen_ai.request.model": "ours-2", **usage(1000, 100)},
        0.012,
    ),
    "by hand before the list": (
        {
            "gen_ai.provider.name": "azure.ai.openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.response.model": "gpt-4o-2024-08-06",
            **usage(1000, 100),
        },
        0.0011,
    ),
    "by setting, before a gateway's": (
        {
            "gen_ai.provider.name": "azure.ai.openai",
            "gen_ai.request.model": "prod-eu",
            "gen_ai.response.model": "gpt-4o",
            **usage(1000, 100, cost=9),
        },
        0.0022,
    ),
    "by wildcard": ({"gen_ai.provider.name": "openai", "gen_ai.request.model": "llama-70b", **usage(1000, 100)}, 0.0),
}


def test_a_call_costs_what_everything_that_a_price_depends_on_makes_of_it(store) -> None:
    own = {"input_usd": 1e-5, "cached_usd": 1e-6, "output_usd": 2e-5}
    store.insert(
        "model_prices", [{"provider": "openai", "model": "ours", **own}, {"provider": "", "model": "ours-2", **own}]
    )
    flat = {"input_usd": 1e-6, "output_usd": 1e-6}
    store.insert("model_prices", [{"provider": "azure.ai.openai", "model": "gpt-4o-2024-08-06", **flat}])
    settings = (PriceSetting("llama-*", 0.0), PriceSetting("prod-*", 5e-6), PriceSetting("prod-eu", 2e-6, 2e-6))
    pricing = Pricing(store, settings)
    for round_ in range(2):  # as new names, and as names that are known
        requests = []
        for number, (name, (attributes, _)) in enumerate(PRICED.items()):
            request = request_of(1)
            span = request.resource_spans[0].scope_spans[0].spans[0]
            span.name, span.span_id = name, (1 + number + 100 * round_).to_bytes(8, "big")
            begun = attributes.get("at", DAY) * 10**9
            span.start_time_unix_nano, span.end_time_unix_nano = begun, begun + 10**9
            del span.attributes[:]
            for key, value in {"gen_ai.operation.name": "chat", **attributes}.items():
                if key != "at":
                    kind = {str: "string_value", int: "int_value", float: "double_value"}[type(value)]
                    setattr(span.attributes.add(key=key).value, kind, value)
            requests.append(segment(request, f"prices-all-{round_}"))
        pricing.insert(b"".join(requests), f"prices-all-{round_}")
        if round_ == 0:
            pricing = Pricing(store, settings)  # a restart
    sql = "SELECT name, cost_usd, unpriced_reason, reported_cost_usd, computed_cost_usd FROM spans WHERE startsWith(project, 'prices-all')"
    rows = store.query(sql).rows
    assert len(rows) == 2 * len(PRICED)
    for name, cost, reason, reported, computed in rows:
        wanted = PRICED[name][1]
        if isinstance(wanted, str):
            assert (name, cost, reason) == (name, None, wanted)
        else:
            assert (name, cost, reason) == (name, pytest.approx(wanted, rel=1e-9), "")
        if name == "a gateway's own cost":
            assert (reported, computed) == (0.00123, pytest.approx(0.0035))


def test_a_price_per_million_is_refused_where_dollars_a_token_are_meant() -> None:
    with pytest.raises(ConfigError, match=r"2\.5 dollars for one token") as refused:
        PriceSetting("gpt-4o", 2.5)
    assert "2.5e-06" in refused.value.hint


def test_status_lists_why_calls_have_no_cost(store) -> None:
    request = request_of(2, attributes={"gen_ai.response.model": "nobody-knows-this-one"})
    Pricing(store).insert(
        b"".join(frame(request.SerializeToString(), "prices-status", time.time_ns() // 10**6)), "status"
    )
    found = {tuple(row) for row in unpriced_calls(store, 3600).rows}
    assert ("the model has no known price", "openai", "nobody-knows-this-one", 2) in found
