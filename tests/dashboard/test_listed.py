"""The list of traces says of each trace what all its spans say, in every order, whichever way its spans are read."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from evalspan.dashboard import listed
from evalspan.queries import catalog
from evalspan.queries.listed_traces import MAX_SHOWN, by_trace, totals
from evalspan.queries.messages import shown_text
from evalspan.queries.store.client import Store

from .application import with_pages

PROJECT = "listed"
DAY = datetime(2026, 4, 7, tzinfo=UTC)
RANGE = f"project={PROJECT}&from=2026-04-07T00:00&to=2026-04-08T00:00"
TRACES = 40
WINDOW: dict[str, Any] = {"project": PROJECT, "start": "2026-04-06 00:00:00", "end": "2026-04-09 00:00:00"}


def said(role: str, *texts: str) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text} for text in texts]}])


TEXTS = [
    "",
    "plain words",
    said("user", "asked"),
    json.dumps([{"role": "system", "content": "rules"}, {"role": "user", "content": "asked so"}, {"role": "assistant", "content": "said"}]),
    json.dumps([{"role": "assistant", "parts": [{"type": "reasoning", "content": "I think"}, {"type": "text", "content": "so"}]}]),
    json.dumps([{"role": "assistant", "parts": [{"type": "tool_call", "id": "1", "name": "look", "arguments": {"q": 1}}]}]),
    said("user", "é" * 300),
    said("user", "long " * 5_000),
    '{"query": "tents"}',
    "[]",
]  # fmt: skip


def spans() -> list[dict[str, Any]]:
    draw, found = random.Random(3), list[dict[str, Any]]()
    for number in range(TRACES):
        at = DAY + timedelta(minutes=30 * number, seconds=draw.randrange(60))
        common = {
            "project": PROJECT,
            "trace_id": f"{number:032x}",
            "service": f"s{number % 3}",
            "attributes": {"region": f"r{number % 2}"},
        }
        for place in range(draw.randrange(1, 9)):
            call = place and draw.random() < 0.6
            found.append(
                {
                    **common, "span_id": f"{number:08x}{place:08x}", "parent_span_id": f"{number:08x}{0:08x}" if place else "",
                    "start_time": at + timedelta(seconds=place), "duration_ns": draw.randrange(10**6, 10**10), "name": f"n{place}",
                    "role": "call" if call else "other", "operation": draw.choice(("chat", "embeddings")) if call else "",
                    "status": draw.choice(("ERROR", "OK")), "request_model": draw.choice(("", "m1", "m2")), "response_model": draw.choice(("", "m3")),
                    "prompt_name": draw.choice(("", "p")), "prompt_version": draw.choice(("", "v1")),
                    "input_tokens": draw.choice((None, 7)) if call else None, "output_tokens": 3 if call else None,
                    "cost_usd": draw.choice((None, draw.random())) if call else None, "input": draw.choice(TEXTS), "output": draw.choice(TEXTS[:-1]),
                }
            )  # fmt: skip
    return found


@pytest.fixture(scope="module")
def filled(store: Store) -> Store:
    made = spans()
    store.insert("spans", made)
    store.insert("spans", made[:9])  # sent twice
    scores = [
        {"project": PROJECT, "evaluation_id": f"00000000-0000-0000-0001-{number:012d}", "name": "tone", "source": "code", "trace_id": f"{number:032x}",
         "span_id": f"{number:08x}{0:08x}", "span_time": DAY + timedelta(minutes=30 * number), "score": (number * 7 % TRACES) / TRACES, "passed": "pass"}
        for number in range(0, TRACES, 2)
    ]  # fmt: skip
    store.insert("evaluations", scores)
    return store


def pages(store: Store, *addresses: str, rows: int = 100) -> list[Any]:
    found: list[Any] = []

    async def told(client: Any) -> None:
        for address in addresses:
            answer = await client.get(
                f"{address}{'&' if '?' in address else '?'}{RANGE}", headers={"Accept-Encoding": "identity"}
            )
            assert answer.status == 200, await answer.text()
            found.append(json.loads(await answer.read())["data"]["traces"])

    with_pages(store, told, rows=rows)
    return found


def test_what_is_added_up_here_is_what_the_store_adds_up(filled: Store) -> None:
    ids = [f"{number:032x}" for number in range(TRACES)]
    read = catalog.get("pages/trace_rows").run(filled, **WINDOW, ids=ids, spans=[]).dicts()
    added_up = {
        row["trace_id"]: row for row in catalog.get("pages/trace_totals").run(filled, **WINDOW, ids=ids).dicts()
    }
    for trace, found in by_trace(read).items():
        assert totals(found) == pytest.approx(added_up[trace])
    assert len(added_up) == TRACES


def test_texts_are_shortened_here_as_in_the_store(store: Store) -> None:
    project = "listed-texts"
    store.insert(
        "spans",
        [{"project": project, "trace_id": f"{number:032x}", "span_id": "a" * 16, "start_time": DAY, "input": text, "output": text} for number, text in enumerate(TEXTS)],
    )  # fmt: skip
    ids = [f"{number:032x}" for number in range(len(TEXTS))]
    found = (
        catalog.get("pages/trace_previews")
        .run(store, **{**WINDOW, "project": project}, ids=ids, spans=["a" * 16])
        .dicts()
    )
    for row in found:
        text = TEXTS[int(row["trace_id"], 16)]
        assert (row["input"], row["output"]) == (shown_text(text, "user")[:MAX_SHOWN], shown_text(text)[:MAX_SHOWN])


def test_a_list_of_large_traces_says_the_same(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    address = "/traces.json?columns=region,cost"
    (small,) = pages(filled, address)
    monkeypatch.setattr(listed, "MAX_SPANS", 5)
    (large,) = pages(filled, address)
    assert len(small) == TRACES
    assert [row["extra"]["region"] for row in small] == [f"r{int(row['trace_id'], 16) % 2}" for row in small]
    for one, other in zip(small, large, strict=True):
        for row in (one, other):
            row["total"]["cost_usd"] = row["total"]["cost_usd"] and round(row["total"]["cost_usd"], 9)
        assert one == other


@pytest.mark.parametrize("sort", ["cost", "errors", "score", "duration", "oldest", "time"])
def test_every_order_is_kept_over_the_pages_of_the_list(filled: Store, sort: str) -> None:
    (whole,) = pages(filled, f"/traces.json?sort={sort}")
    cut = pages(filled, *(f"/traces.json?sort={sort}&skip={skip}" for skip in (0, 15, 30)), rows=15)
    assert [row["trace_id"] for row in whole] == [row["trace_id"] for part in cut for row in part]
    key = {
        "cost": lambda row: (row["total"]["cost_usd"] is None, -(row["total"]["cost_usd"] or 0)),
        "errors": lambda row: -row["total"]["errors"],
        "score": lambda row: min(score["score"] for score in row["scores"]),
        "duration": lambda row: -row["duration_ns"],
        "oldest": lambda row: row["start_time"],
        "time": lambda row: [-ord(letter) for letter in row["start_time"]],
    }[sort]
    assert [key(row) for row in whole] == sorted(key(row) for row in whole)
    assert len(whole) == (TRACES // 2 if sort == "score" else TRACES)


def test_an_order_by_the_whole_stays_within_its_filters(filled: Store) -> None:
    (chosen,) = pages(filled, "/traces.json?sort=cost&service=s1&where=region=r0")
    assert chosen
    assert {(row["service"], int(row["trace_id"], 16) % 2) for row in chosen} == {("s1", 0)}
