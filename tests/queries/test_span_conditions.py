"""Filters of addresses: what they mean in a real engine, that no text of a reader becomes SQL, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from evalspan.errors import UsageError
from evalspan.queries import catalog
from evalspan.queries.span_conditions import Condition, parse, trace_filter
from evalspan.queries.store.client import Store

PROJECT = "filters"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SAID = '[{"role":"assistant","parts":[{"type":"text","content":"tent number #"}]}]'
HOSTILE = ["'", "\\", "') OR 1=1 --", "{evil:String}", "%", "_", "`x`", "a=b", "x' UNION SELECT", "\x00", "🎒", ""]


@pytest.fixture(scope="module")
def filled(store: Store) -> Store:
    """Four traces: a planner and an answer each, in two regions, one of them failed, two of them judged."""
    spans: list[dict[str, Any]] = []
    for number in range(4):
        trace = f"{number:032x}"
        common = {
            "project": PROJECT, "trace_id": trace, "start_time": NOON + timedelta(minutes=number), "service": "shop",
            "attributes": {"region": "eu" if number < 2 else "us", "odd'key": "100%_sure"}, "resource": {"host.name": f"h{number}"},
            "user_id": f"user-{number:04d}", "conversation_id": f"chat-{number}",
        }  # fmt: skip
        spans += [
            {**common, "span_id": f"{number}1", "name": "root", "kind": "SERVER", "duration_ns": number * 10**9, "status": "ERROR" if number == 3 else "OK"},
            {**common, "span_id": f"{number}2", "parent_span_id": f"{number}1", "name": "plan", "role": "call", "operation": "chat", "request_model": "small", "prompt_name": "plan", "prompt_version": "v2"},
            {**common, "span_id": f"{number}3", "parent_span_id": f"{number}1", "name": "say", "role": "call", "operation": "chat", "request_model": "large", "prompt_name": "say", "prompt_version": f"v{number % 2 + 1}",
             "output": SAID.replace("#", str(number))},
        ]  # fmt: skip
    store.insert("spans", spans)
    scores = [
        {"project": PROJECT, "evaluation_id": f"00000000-0000-0000-0000-{number:012d}", "name": "tone", "evaluator_version": "1", "source": "llm_judge",
         "trace_id": f"{number:032x}", "span_id": f"{number}3", "span_time": NOON + timedelta(minutes=number), "score": score, "passed": passed,
         "segment": "refunds", "request_model": "large", "sample_weight": 1.0}
        for number, score, passed in ((0, 0.2, "fail"), (1, 0.9, "pass"))
    ]  # fmt: skip
    store.insert("evaluations", scores)
    return store


def listed(store: Store, *texts: str) -> str:
    """The numbers of the traces that a list shows under some filters."""
    query, filtered = catalog.get("pages/traces"), trace_filter([parse(text) for text in texts])
    bound = {**query.bound({"project": PROJECT}), **filtered.parameters}
    rows = store.query(query.statement(bound, {"conditions": filtered.text}), bound).dicts()
    return "".join(sorted(str(int(row["trace_id"], 16)) for row in rows))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((), "0123"),
        (("region=eu",), "01"),
        (("region!=eu",), "23"),
        (("region~U",), "0123"),
        (("host.name=h2",), "2"),
        (("odd'key=100%_sure",), "0123"),
        (("odd'key~%_s",), "0123"),
        (("odd'key~_%",), ""),
        (("model=small", "model=large"), "0123"),
        (("version=say v2",), "13"),
        (("version=v2",), ""),
        (("version!=say v2",), "02"),
        (("status=ERROR",), "3"),
        (("duration_ms>=2000",), "23"),
        (("duration_ms=1000..3000",), "12"),
        (("at=2026-03-01T12:01Z..2026-03-01T13:02:30+01:00",), "12"),
        (("took_ms=0..1500",), "01"),
        (("took_ms>0",), "123"),
        (("failed=tone",), "0"),
        (("score.tone=fail",), "0"),
        (("score.tone<0.5",), "0"),
        (("score.tone=0.5..1",), "1"),
        (("score.tone=any",), "01"),
        (("score.tone@segment=refunds",), "01"),
        (("score.tone@model=small",), ""),
        (("label.tone=any",), ""),
        (("segment=refunds", "region=eu"), "01"),
        (("q=tent",), "0123"),
        (("q=content",), ""),
        (("q=user-0002",), "2"),
        (("q=chat-1",), "1"),
        (("q=eu",), "01"),
        (("q=00000000",), "0123"),
        (("user=user-0001", "region=us"), ""),
    ],
)
def test_a_filter_finds_the_traces_that_it_says(filled: Store, texts: tuple[str, ...], expected: str) -> None:
    assert listed(filled, *texts) == expected


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "form", ["{}=x", "region={}", "region~{}", "q={}", "failed={}", "score.{}=any", "score.tone={}", "version!={}"]
)
def test_no_text_of_a_reader_becomes_sql(filled: Store, form: str, text: str) -> None:
    try:
        condition = parse(form.format(text))
    except UsageError:
        return
    statement = trace_filter([condition]).text
    assert len(text) < 3 or text not in statement
    assert set(listed(filled, str(condition))) <= set("0123")


@pytest.mark.parametrize("text", ["region", "", "=x", "duration_ms>soon", "cost<=", "at=now", "at=2026-03-01..soon"])
def test_what_is_no_filter_is_refused_with_the_fix(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        trace_filter([parse(text)])
    assert refused.value.hint


def test_a_score_has_no_column_of_that_name() -> None:
    with pytest.raises(UsageError, match="no 'region'"):
        trace_filter([parse("score.tone@region=eu")])


def test_too_many_filters_are_refused() -> None:
    with pytest.raises(UsageError, match="21 filters"):
        trace_filter([Condition("region", "=", str(number)) for number in range(21)])


def test_a_filter_that_is_not_set_is_not_in_the_statement() -> None:
    query = catalog.get("pages/traces")
    bare = query.statement(query.bound({}))
    assert "project" not in bare.split("WHERE", 1)[1]
    assert "IN {ids" not in bare
    assert "-- if" not in bare
    full = query.statement(query.bound({"project": "p", "service": "s", "by_duration": 1}), {"conditions": "    AND 1"})
    assert {"project = {project:String}", "service = {service:String}"} <= {
        part.strip().removeprefix("AND ") for part in full.splitlines()
    }
    assert "duration_ns DESC" in full
    assert "    AND 1" in full.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("name", catalog.page_names())
def test_every_query_of_a_page_runs_with_what_it_says_are_its_defaults(store: Store, name: str) -> None:
    query = catalog.get(name)
    needed = {parameter.name: "" for parameter in query.parameters if parameter.default is None}
    bound = query.bound(needed)
    group = {"group": "            toString(service)"} if "-- slot group" in query.sql else {}
    store.query(query.statement(bound, group), bound)
