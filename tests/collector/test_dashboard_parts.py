"""What pages are computed from, with input that no well-behaved sender would send."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from evalspan.dashboard import findings, messages
from evalspan.dashboard.alert_thresholds import thresholds_for
from evalspan.dashboard.alerts import firing_intervals
from evalspan.dashboard.experiments import _case_result, compare
from evalspan.dashboard.filters import Filters
from evalspan.dashboard.guard import local_path
from evalspan.dashboard.template_filters import money, number, period, share, span_time
from evalspan.dashboard.trace import interesting
from evalspan.dashboard.trace_diff import aligned
from evalspan.dashboard.waterfall import rows, tree
from evalspan.errors import UsageError
from evalspan.evaluators.experiments.compare import compare_runs
from evalspan.evaluators.experiments.record import CaseResult, Metric

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def span(name: str, parent: str = "", begin: float = 0, length: float = 1, operation: str = "") -> dict[str, Any]:
    return {
        "span_id": name,
        "parent_span_id": parent,
        "start_time": NOON + timedelta(seconds=begin),
        "duration_ns": round(length * 1e9),
        "operation": operation,
        "name": name,
    }


def test_the_critical_path_is_what_the_end_waited_for() -> None:
    spans = [
        span("root", length=10),
        span("slow", "root", 0, 6),
        span("beside", "root", 0, 2),
        span("last", "root", 6, 4),
    ]
    assert tree(spans).critical == {"root", "slow", "last"}


def test_spans_without_their_parent_are_shown_and_counted() -> None:
    laid = tree([span("root"), span("late", parent="never-came")])
    assert laid.orphans == 1
    assert [row["span"]["span_id"] for row in rows(laid)] == ["root", "late"]


def test_a_cycle_of_parents_does_not_hang_or_lose_a_span() -> None:
    laid = tree([span("a", "c"), span("b", "a"), span("c", "b"), span("self", "self")])
    assert {row["span"]["span_id"] for row in rows(laid)} == {"a", "b", "c", "self"}


def test_folds_add_up_to_all_spans_and_unfold_to_them() -> None:
    laid = tree([span("root"), *(span(f"s{n}", "root" if n < 300 else f"s{n % 300}") for n in range(900))])
    shown = rows(laid)
    hidden = sum(row["more"] for row in shown if "more" in row)
    assert hidden
    assert hidden + sum("span" in row for row in shown) == 901
    fold = next(row for row in shown if row.get("under") == "root")
    more = rows(laid, under="root", group=fold["group"], skip=fold["skip"])
    assert sum(row.get("more", 1) for row in more) == fold["more"]


def test_repeated_steps_are_one_line_with_their_numbers_and_failed_ones_are_never_folded() -> None:
    steps = [{**span(f"s{n}", "root"), "name": f"step {n}", "cost_usd": 0.5} for n in range(600)]
    for at in (77, 501):
        steps[at]["status"] = "ERROR"
    laid = tree([span("root"), *steps])
    shown = rows(laid, must=["s77", "s501"])
    seen = [row["span"]["span_id"] for row in shown if "span" in row]
    assert {"s77", "s501"} <= set(seen)
    (fold,) = (row for row in shown if "times" in row)
    assert (fold["group"], fold["times"]) == ("step #", 600 - (len(seen) - 1))
    assert fold["cost_usd"] == pytest.approx(0.5 * fold["times"])
    rest = rows(laid, under="root", group="step #", must=["s77", "s501"], most=1000)
    unfolded = [row["span"]["span_id"] for row in rest if "span" in row]
    assert len(unfolded) + sum(row["more"] for row in rest if "more" in row) == fold["times"]
    assert not set(unfolded) & set(seen)


def _trace_span(span_id: str, parent: str = "", **more: Any) -> dict[str, Any]:
    return {**span(span_id, parent), "name": span_id, "status": "OK", "operation": "", "answer": 0, **more}


CHAT = {"operation": "chat", "request_model": "m"}


@pytest.mark.parametrize(
    ("spans", "scores", "expected"),
    [
        ([_trace_span("root"), _trace_span("plan", "root", **CHAT), _trace_span("tool", "root", status="ERROR")], [], "tool"),
        ([_trace_span("root", status="ERROR"), _trace_span("agent", "root", status="ERROR"), _trace_span("tool", "agent", status="ERROR"), _trace_span("plan", "root", **CHAT)], [], "tool"),
        ([_trace_span("root"), _trace_span("plan", "root", **CHAT), _trace_span("say", "root", **CHAT)], [{"span_id": "plan", "passed": "fail", "score": 0.2, "name": "x"}], "plan"),
        ([_trace_span("root", answer=7), _trace_span("say", "root", answer=7, **CHAT), _trace_span("check", "root", answer=9, **CHAT)], [], "say"),
        ([_trace_span("root"), _trace_span("plan", "root", **CHAT), _trace_span("say", "root", start_time=NOON + timedelta(seconds=1), **CHAT)], [], "say"),
        ([_trace_span("root"), _trace_span("step", "root")], [], "root"),
    ],
)  # fmt: skip
def test_a_trace_opens_on_what_went_wrong_then_on_its_answer(
    spans: list[dict[str, Any]], scores: list[dict[str, Any]], expected: str
) -> None:
    assert interesting(tree(spans), scores) == expected


@pytest.mark.parametrize(
    "body",
    ["", "null", "[]", "{", '{"a": 1}', '[{"role": null, "parts": null}]', '[{"role": "user", "content": [1, null]}]', "[" * 5000],
)  # fmt: skip
def test_bodies_of_any_shape_become_messages_or_text(body: str) -> None:
    for message in messages.read(body, body):
        assert all(isinstance(part.get("text", ""), str) for part in message["parts"])


def test_a_tool_result_stands_under_its_call_in_both_dialects() -> None:
    ours = [
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "1", "name": "find", "arguments": {"q": 1}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "response": "here"}]},
    ]
    theirs = [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "find", "arguments": '{"q": 1}'}}]},
        {"role": "tool", "tool_call_id": "1", "content": "here"},
    ]  # fmt: skip
    for dialect in (ours, theirs):
        (message,) = messages.read(json.dumps(dialect))
        assert [(part["name"], part["result"]) for part in message["parts"]] == [("find", "here")]


def test_only_raster_images_inside_the_message_are_shown() -> None:
    parts = [
        {"type": "blob", "mime_type": "image/png", "content": "aGk="},
        {"type": "blob", "mime_type": "image/svg+xml", "content": "aGk="},
        {"type": "blob", "mime_type": "image/png", "content": '" onload="'},
        {"type": "uri", "uri": "https://elsewhere.example/a.png"},
    ]
    (message,) = messages.read(json.dumps([{"role": "user", "parts": parts}]))
    assert [part["type"] for part in message["parts"]] == ["image", "media", "media", "link"]


def result(run: str, example: str, *, passed: str, score: float) -> dict[str, Any]:
    return {
        "experiment_id": run, "example_id": example, "repeat": 0, "partition": "golden", "output": run, "passed": passed,
        "failure_reason": "", "scores": {"tone": score}, "trace_id": "",
    }  # fmt: skip


def test_b10_runs_are_compared_by_pairs_and_unknown_verdicts_stay_out() -> None:
    found = []
    for number_, (old, new) in enumerate([("pass", "fail"), ("pass", "pass"), ("unknown", "pass"), ("pass", "pass")]):
        found += [result("a", f"e{number_}", passed=old, score=0.9), result("b", f"e{number_}", passed=new, score=0.4)]
    found.append(result("b", "only-new", passed="pass", score=1.0))
    compared = compare(found, "a", "b")
    rate, tone = compared["rows"]
    assert (compared["shared"], compared["only_candidate"], compared["worse"], compared["better"]) == (4, 1, 1, 0)
    assert (rate["n"], tone["n"]) == (3, 4)
    assert tone["difference"] == pytest.approx(-0.5)


def test_the_page_and_the_command_give_the_same_numbers_for_the_same_runs() -> None:
    metric = Metric("tone", "1", "judge", "lower", 0.5, "")
    found: list[dict[str, Any]] = []
    runs: dict[str, list[CaseResult]] = {"a": [], "b": []}
    for number_ in range(40):
        for run, score in (("a", 0.2 + number_ % 3 / 10), ("b", 0.3 + number_ % 5 / 10)):
            passed = score <= 0.5
            row = result(run, f"e{number_}", passed="pass" if passed else "fail", score=score)
            found.append({**row, "weight": 1.0 + number_ % 2, "cluster": str(number_ // 4)})
            runs[run].append(_case_result(found[-1]))
    compared = compare(found, "a", "b", msgspec.json.encode([metric]).decode())
    expected = compare_runs(runs["a"], runs["b"], [metric])
    assert [(row["metric"], row["low"], row["high"], row["conclusion"]) for row in compared["rows"]] == [
        (one.metric, *one.interval, one.conclusion) for one in expected
    ]
    assert {row["conclusion"] for row in compared["rows"]} != {"improvement"}, "lower is better here"


@pytest.mark.parametrize(
    "query", [{"since": "soon"}, {"since": "0h"}, {"from": "yesterday"}, {"from": "2026-02-02", "to": "2026-02-01"}]
)
def test_a_time_range_that_makes_no_sense_is_refused_with_the_fix(query: dict[str, str]) -> None:
    with pytest.raises(UsageError) as refused:
        Filters.read(query, since="24h")
    assert refused.value.hint


def test_a_key_s_project_cannot_be_left_by_the_address() -> None:
    filters = Filters.read({"project": "other", "service": "shop"}, since="1h", project="mine")
    assert filters.parameters()["project"] == "mine"
    assert filters.url("/scores") == "/scores?service=shop"


@pytest.mark.parametrize(
    "where", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nb"]
)
def test_a_sign_in_leads_only_to_this_server(where: str) -> None:
    assert local_path(where) == "/"


def test_numbers_are_written_with_the_digits_that_matter() -> None:
    assert [number(value) for value in (None, float("nan"), 0.0, 3, 0.7741, 12.3456, 0.00004)] == [
        "–",
        "–",
        "0",
        "3",
        "0.774",
        "12.3",
        "4e-5",
    ]
    assert [share(value) for value in (None, 0, 1, 0.1234)] == ["–", "0 %", "100 %", "12.3 %"]
    assert [money(value) for value in (None, 0, 0.00123, 12.5)] == ["–", "$0", "$0.0012", "$12.50"]
    assert [span_time(value) for value in (None, 500, 2.5e6, 1.84e9, 125e9)] == [
        "–",
        "0 µs",
        "2 ms",
        "1.84 s",
        "2 m 05 s",
    ]


def test_spans_of_two_traces_stand_beside_each_other_by_depth_and_name() -> None:
    before = tree([span("root", length=3), span("search", "root", 0, 1), span("chat", "root", 1, 2)])
    after = tree(
        [span("root", length=4), span("search", "root", 0, 1), span("tool", "root", 1, 1), span("chat", "root", 2, 2)]
    )
    found = [(row["name"], [bool(one) for one in row["spans"]], row["longer_ns"]) for row in aligned(before, after)]
    assert found == [
        ("root", [True, True], 1e9),
        ("search", [True, True], 0),
        ("tool", [False, True], None),
        ("chat", [True, True], 0),
    ]


def rule(condition: str, query: str = "score_trend", metric: str = "", *, enabled: bool = True) -> dict[str, Any]:
    parameters = json.dumps({"metric": metric} if metric else {})
    return {"rule_id": condition, "name": condition, "query": query, "parameters": parameters, "condition": condition, "enabled": enabled}  # fmt: skip


def test_the_limits_of_a_score_are_those_of_its_own_enabled_rules_once_each() -> None:
    rules = [
        rule("n >= 20 AND high < 0.8", metric="tone"),
        rule("high < 0.8"),
        rule("high < 0.7", metric="faithfulness"),
        rule("mean < 0.1", enabled=False),
        rule("mean < 0.2", query="usage_trend"),
        {**rule("low > 0.99"), "parameters": "not json"},
    ]
    found = thresholds_for(rules, "tone")
    assert [(limit["column"], limit["sign"], limit["value"], len(limit["rules"])) for limit in found] == [
        ("high", "<", 0.8, 2),
        ("low", ">", 0.99, 1),
    ]


def test_the_line_of_an_alert_shows_when_it_fired_and_never_leaves_its_frame() -> None:
    def fired(days_ago: float, length: float | None) -> dict[str, Any]:
        began = NOON - timedelta(days=days_ago)
        ended = None if length is None else (began + timedelta(days=length)).replace(tzinfo=None)
        return {"state": "firing", "began": began.replace(tzinfo=None), "ended": ended}

    times = [fired(7, 7), fired(3.5, None), fired(30, 20), fired(0.0001, None)]
    found = [(one["x"], one["width"]) for one in firing_intervals(times, NOON)]
    assert found[:3] == [(50.0, 50.0), (75.0, 25.0), (0.0, pytest.approx(28.57))]
    assert all(x >= 0 and x + width <= 100.01 for x, width in found)


def test_lengths_are_written_in_their_largest_whole_unit() -> None:
    assert [period(value) for value in (None, 5, 90, 300, 3600, 5400, 86400)] == ["–", "5 s", "90 s", "5 min", "1 h", "90 min", "1 d"]  # fmt: skip


def test_helper_spans_of_a_web_framework_are_one_line() -> None:
    names = ["POST /chat", "POST /chat http receive", "chat gpt-4o", "POST /chat http send", "POST /chat http send"]
    spans = [{**span(f"s{number}", "s0" if number else ""), "name": name} for number, name in enumerate(names)]
    shown = rows(tree(spans))
    assert [row["span"]["name"] for row in shown if "span" in row] == ["POST /chat", "chat gpt-4o"]
    (fold,) = (row for row in shown if "more" in row)
    assert (fold["group"], fold["times"]) == ("steps of the web framework", 3)
    assert len(rows(tree(spans), under="s0", group=fold["group"])) == 3


def series(before: float, after: float, *, failed: float, passed: float, unit: str = "span") -> list[dict[str, Any]]:
    return [
        {
            "kind": "score.tone", "value": "shop", "unit": unit, "time": NOON - timedelta(hours=6 * (40 - at)), "n": 50, "total": 50.0,
            "amount": 50 * (before if at < 20 else after) + at % 3, "of_passed": 25 * passed, "passed_weight": 25.0, "of_failed": 25 * failed, "failed_weight": 25.0,
        }
        for at in range(40)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "failed", "passed", "said", "found"),
    [
        (0.9, 0.6, 0.2, 0.9, None, True), (0.6, 0.9, 0.2, 0.9, None, False), (0.1, 0.4, 0.8, 0.1, None, True), (0.4, 0.1, 0.8, 0.1, None, False),
        (0.1, 0.4, 0.8, 0.1, False, False), (0.1, 0.4, 0.0, 0.0, True, True), (0.9, 0.6, 0.0, 0.0, None, True),
    ],
)  # fmt: skip
def test_a_score_needs_somebody_when_it_got_worse_whichever_direction_is_worse(
    before: float, after: float, failed: float, passed: float, said: bool | None, found: bool
) -> None:
    rows = series(before, after, failed=failed, passed=passed)
    rows += series(0.5, 0.5, failed=failed, passed=passed, unit="trace")
    given = {} if said is None else {"tone": said}
    told = findings._of_series(rows, given)
    assert [(one.metric, one.unit) for one in told] == ([("tone", "span")] if found else [])


def test_costs_of_hours_are_summed_up_by_day() -> None:
    rows = [
        {"value": "shop", "time": NOON + timedelta(hours=6 * at), "n": 1, "total": 1.0, "amount": 2.0}
        for at in range(4)
    ]
    assert [(row["time"].day, row["amount"]) for row in findings.per_day(rows)] == [(23, 4.0), (24, 4.0)]
