"""The cost page splits by what `[dashboard] cost_by` names: columns, and any attribute of spans or resources."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from evalspan.queries.store.client import Store

from .application import with_pages

DAY = datetime(2026, 4, 7, tzinfo=UTC)
RANGE = "project=cost-pages&from=2026-04-07T00:00&to=2026-04-08T00:00"
TIERS = {"gold": 3.0, "free": 0.5}


def calls() -> list[dict[str, Any]]:
    return [
        {
            "project": "cost-pages", "trace_id": f"{number:032x}", "span_id": f"{number:016x}", "start_time": DAY + timedelta(minutes=number),
            "duration_ns": 10**9, "operation": "chat", "role": "call", "request_model": "m", "service": "shop", "cost_usd": TIERS[tier],
            # One half says it on the span, the other on the resource, as senders do.
            ("attributes" if number % 4 < 2 else "resource"): {"customer.tier": tier, "desk.no": f"d{number % 3}"},
        }
        for number in range(40)
        for tier in [("gold", "free")[number % 2]]
    ]  # fmt: skip


def test_the_page_offers_and_splits_by_what_the_setting_names(store: Store) -> None:
    store.insert("spans", calls())

    async def told(client: Any) -> None:
        page = (await (await client.get(f"/cost?{RANGE}", headers={"Accept-Encoding": "identity"})).read()).decode()
        offered = [one.partition(">")[2].partition("<")[0] for one in page.split("<option")[1:]]
        assert {"customer.tier", "model"} <= set(offered)
        assert "tenant.id" not in offered, "the usual ones give way to the setting"
        data = await document(client, f"/cost.json?{RANGE}&by=customer.tier")
        assert data["groups"][:2] == ["customer.tier", "model"]
        assert {row["value"]: round(row["cost_usd"], 6) for row in data["rows"]} == {"gold": 60.0, "free": 10.0}
        assert round(data["total"], 6) == 70.0
        # Each part opens exactly the traces that it adds up.
        for row in data["rows"]:
            where, _, query = row["open"].partition("?")
            listed = await document(client, f"{where}.json?{query}&{RANGE}")
            assert len(listed["traces"]) == 20
            assert {one["total"]["cost_usd"] for one in listed["traces"]} == {TIERS[row["value"]]}

    with_pages(store, told, cost_by=("customer.tier", "model"), rows=100)


def test_what_raised_the_cost_knows_values_that_are_new_and_opens_the_traces_it_counts(store: Store) -> None:
    late = [
        {**call, "project": "cost-raised", "cost_usd": 50.0 if number >= 30 else call["cost_usd"], "user_id": "new" if number >= 30 else f"u{number % 2}"}
        for number, call in enumerate(calls())
    ]  # fmt: skip
    store.insert("spans", late)
    asked = RANGE.replace("cost-pages", "cost-raised") + "&middle=2026-04-07T00:20"

    async def told(client: Any) -> None:
        assert (await client.get(f"/cost?{asked}")).status == 200
        data = await document(client, f"/cost.json?{asked}")
        found = {(row["key"], row["value"]): row for row in data["changed"]}
        assert found["user", "new"]["before"] == 0, "a value that was not there before"
        assert data["changed"][0]["after"] > 0
        for (key, value), row in found.items():
            where, _, query = data["opens"][f"{key}={value}"].partition("?")
            listed = await document(client, f"{where}.json?{query}")
            assert len(listed["traces"]) == row["traces"], (key, value)

    with_pages(store, told, rows=100)


async def document(client: Any, path: str) -> dict[str, Any]:
    answer = await client.get(path, headers={"Accept-Encoding": "identity"})
    assert answer.status == 200, await answer.text()
    found: dict[str, Any] = json.loads(await answer.read())["data"]
    return found
