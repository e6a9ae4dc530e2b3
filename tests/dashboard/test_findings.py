"""What needs somebody: looked for as far back as the page, whichever way the worse lies, by whatever names."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from evalspan.queries.store.client import Store

from .application import with_pages
from .test_cost import document

END = datetime(2026, 4, 7, tzinfo=UTC)
CHANGED = END - timedelta(days=24)
PROJECT = "findings-far-back"


def scores() -> list[dict[str, Any]]:
    draw, rows = random.Random(3), list[dict[str, Any]]()
    for hour in range(30 * 24):
        at = END - timedelta(hours=30 * 24 - hour)
        worse = at >= CHANGED
        common = {"project": PROJECT, "source": "llm_judge", "span_time": at, "service": "Schalter", "unit": "span", "prompt_name": "Antwort", "prompt_version": "neu" if worse else "alt", "request_model": "m"}  # fmt: skip
        for name, level, lower in (
            ("Halluzination", 0.4 if worse else 0.1, True),
            ("Ton", 0.6 if worse else 0.8, False),
        ):
            value = level + draw.gauss(0, 0.05)
            bad = value > 0.3 if lower else value < 0.7
            rows.append({**common, "evaluation_id": str(uuid.UUID(int=draw.getrandbits(128))), "trace_id": f"{hour:032x}", "span_id": f"{hour:016x}", "name": name, "score": value, "passed": "fail" if bad else "pass"})  # fmt: skip
    return rows


def test_a_change_is_found_as_far_back_as_the_page_reaches_and_is_said_with_its_direction(store: Store) -> None:
    store.insert("evaluations", scores())

    async def told(client: Any) -> None:
        scope = f"project={PROJECT}&to={END:%Y-%m-%dT%H:%M}"
        long = await document(client, f"/overview/needs.json?{scope}&from={END - timedelta(days=30):%Y-%m-%dT%H:%M}")
        (found,) = long["findings"]
        assert found["sentence"].startswith(
            ("Halluzination, Ton got worse since 14 Mar", "Ton, Halluzination got worse since 14 Mar")
        )
        assert found["cause"] == "prompt Antwort neu"
        assert found["url"].startswith("/why?")
        short = await document(client, f"/overview/needs.json?{scope}&from={END - timedelta(days=1):%Y-%m-%dT%H:%M}")
        assert short["findings"] == []

    with_pages(store, told)


def test_the_cause_of_a_cost_is_what_rose_beyond_the_rest_and_not_what_nearly_all_calls_share(store: Store) -> None:
    project, draw, spans = "findings-cost", random.Random(4), list[dict[str, Any]]()
    for hour in range(16 * 24):
        at, dear = END - timedelta(hours=16 * 24 - hour), hour >= 9 * 24
        for number, (model, customer) in enumerate(
            (("large", "c-7"), ("large", "c-1"), ("large", "c-2"), ("small", "c-1"))
        ):
            cost = (
                (0.02 if model == "small" else 1.0) * draw.uniform(0.8, 1.2) * (12 if dear and customer == "c-7" else 1)
            )
            spans.append({"project": project, "trace_id": f"{hour:030x}{number:02x}", "span_id": f"{number:016x}", "start_time": at + timedelta(minutes=number), "duration_ns": 10**9, "operation": "chat", "role": "call", "service": "Schalter", "request_model": model, "cost_usd": cost, "attributes": {"customer": customer, "evalspan.cost_usd": f"{cost:.1f}", "evalspan.tag.plan": "pro" if customer == "c-7" else "free"}})  # fmt: skip
    store.insert("spans", spans)

    async def told(client: Any) -> None:
        found = await document(
            client, f"/overview/needs.json?project={project}&from=2026-04-06T00:00&to={END:%Y-%m-%dT%H:%M}"
        )
        (cost,) = (one for one in found["findings"] if one["kind"] == "cost")
        assert cost["cause"] == "nearly all of it customer c-7"
        assert cost["since"].startswith("2026-03-31")
        # What we write ourselves about a call is no property of whoever sent it; tags are.
        differing = await document(
            client,
            f"/difference.json?project={project}&where=customer%3Dc-7&from=2026-04-06T00:00&to={END:%Y-%m-%dT%H:%M}",
        )
        keys = {row["key"] for row in differing["rows"]}
        assert "evalspan.tag.plan" in keys
        assert "evalspan.cost_usd" not in keys

    with_pages(store, told)
