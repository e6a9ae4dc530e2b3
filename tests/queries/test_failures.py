"""Failures in the store become cases: what is selected, how it is clustered, what is masked, where it came from."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from evalspan.errors import QueryError, UsageError
from evalspan.evaluators.cli import export
from evalspan.evaluators.datasets import Dataset, Example
from evalspan.queries.durations import parse_duration
from evalspan.queries.failures.selection import Found, find_failures
from evalspan.queries.near_duplicates import clusters

if TYPE_CHECKING:
    from evalspan.queries.store.client import Store

NOW = datetime.now(UTC)


def messages(*turns: tuple[str, str]) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]} for role, text in turns])


class Traffic:
    """Spans and evaluations of one project."""

    def __init__(self, store: Store) -> None:
        self.store, self.project = store, f"failures-{uuid4().hex[:8]}"

    def span(self, question: str, answer: str = "Pro costs $99.", **columns: Any) -> str:
        trace_id = uuid4().hex
        row = {
            "project": self.project,
            "trace_id": trace_id,
            "span_id": uuid4().hex[:16],
            "start_time": NOW - timedelta(hours=1),
            "name": "chat m",
            "operation": "chat",
            "request_model": "m-1",
            "system_hash": "ab12",
            "input": messages(("system", "Be kind."), ("user", question)),
            "output": messages(("assistant", answer)),
            **columns,
        }
        self.store.insert("spans", [row])
        self.last = row
        return str(row["trace_id"])

    def judge(self, trace_id: str, name: str = "faithful", **columns: Any) -> None:
        row = {
            "project": self.project,
            "evaluation_id": str(uuid4()),
            "name": name,
            "source": "code",
            "trace_id": trace_id,
            "span_id": self.last["span_id"],
            "span_time": NOW,
            **columns,
        }
        self.store.insert("evaluations", [row])

    def found(self, where: str = "", **options: Any) -> Found:
        return find_failures(
            self.store, since=timedelta(hours=24), where=where, project=self.project, now=NOW, **options
        )


@pytest.fixture
def traffic(store: Store) -> Traffic:
    return Traffic(store)


def test_a12_every_kind_of_failure_is_selected_and_nothing_else(traffic: Traffic) -> None:
    kinds: dict[str, dict[str, Any]] = {
        "how much does the pro plan cost": {"passed": "fail", "score": 0.2},
        "when does my invoice arrive by mail": {"source": "user_feedback", "name": "thumbs", "score": 0},
        "which browsers do you support today": {"source": "user_feedback", "name": "thumbs", "label": "thumbs_down"},
        "can I bring my own encryption keys": {"label": "hallucination"},
    }
    for question, columns in kinds.items():
        traffic.judge(traffic.span(question), **columns)
    traffic.span("why is everything broken", status="ERROR", status_message="429 rate limited", output="")
    traffic.judge(traffic.span("a question answered well"), passed="pass", score=0.9)
    traffic.judge(traffic.span("a question users liked"), source="user_feedback", name="thumbs", score=1)
    traffic.judge(traffic.span("judge was down here"), error="timed out", score=None)
    traffic.span("nobody judged this one")
    questions = {case["input"]["question"] for case in traffic.found().cases}
    assert questions == {*kinds, "why is everything broken"}


def test_the_case_can_be_asked_again_and_leads_back_to_its_trace(traffic: Traffic) -> None:
    trace_id = traffic.span("how much is Pro?", sample_weight=4.0)
    traffic.judge(trace_id, passed="fail", score=0.2, explanation="99 is not in the passages")
    (case,) = traffic.found().cases
    assert case["partition"] == "regression"
    assert case["input"] == {
        "question": "how much is Pro?",
        "messages": [{"role": "user", "content": "how much is Pro?"}],
    }
    about = case["metadata"]
    assert about["source_trace_id"] == trace_id
    assert about["trace_ids"] == [trace_id]
    assert about["failure"]["output"] == "Pro costs $99."
    assert about["failure"]["evaluations"][0]["explanation"] == "99 is not in the passages"
    assert (about["review"], about["system_hash"], about["estimated_count"]) == ("pending", "ab12", 4.0)
    assert case["expected_output"] is None


def test_near_duplicates_become_one_case_with_their_count(traffic: Traffic) -> None:
    ids = set()
    for question in (
        "How much does the Pro plan cost?",
        "how much does the pro plan cost",
        "How much does the Pro plan cost??",
    ):
        ids.add(traffic.span(question))
        traffic.judge(max(ids, key=lambda one: one == traffic.last["trace_id"]), passed="fail")
    traffic.judge(traffic.span("Where is my invoice from March?"), passed="fail")
    found = traffic.found()
    assert found.failures == 4
    assert [case["metadata"]["count"] for case in found.cases] == [3, 1]
    assert set(found.cases[0]["metadata"]["trace_ids"]) == ids


def test_an_evaluation_of_the_whole_trace_finds_the_answer(traffic: Traffic) -> None:
    trace_id = traffic.span("whole trace judged")
    traffic.judge(trace_id, span_id="", passed="fail")
    assert [case["metadata"]["source_trace_id"] for case in traffic.found().cases] == [trace_id]


def test_one_trace_with_several_failing_spans_is_one_case_asked_as_the_model_was(traffic: Traffic) -> None:
    trace_id = traffic.span("inner question", status="ERROR", parent_span_id="a" * 16)
    traffic.span(
        "", trace_id=trace_id, span_id="a" * 16, status="ERROR", operation="", input='{"q": "outer"}', output=""
    )
    (case,) = traffic.found().cases
    assert case["input"]["question"] == "inner question"


def test_where_on_scores_defines_failure_and_on_other_columns_narrows_it(traffic: Traffic) -> None:
    traffic.judge(traffic.span("a low score that nobody called failed"), passed="unknown", score=0.1)
    traffic.judge(traffic.span("a failed one in production", environment="prod"), passed="fail", score=0.4)
    traffic.judge(traffic.span("a fine one in production", environment="prod"), passed="pass", score=0.9)
    low = traffic.found("name = 'faithful' AND score < 0.3").cases
    assert [case["input"]["question"] for case in low] == ["a low score that nobody called failed"]
    narrowed = traffic.found("environment = 'prod'").cases
    assert [case["input"]["question"] for case in narrowed] == ["a failed one in production"]
    with pytest.raises(QueryError, match="scor"):
        traffic.found("scor < 0.3")


def test_a_humans_correction_is_proposed_as_expected_output(traffic: Traffic) -> None:
    trace_id = traffic.span("how much is Pro?")
    traffic.judge(trace_id, passed="fail")
    traffic.judge(trace_id, name="review", source="human", passed="fail", metadata={"correction": "Pro costs $49."})
    assert traffic.found().cases[0]["expected_output"] == "Pro costs $49."


def test_retrieved_passages_come_along_as_context(traffic: Traffic) -> None:
    trace_id = traffic.span("how much is Pro?")
    traffic.judge(trace_id, passed="fail")
    traffic.span("", trace_id=trace_id, operation="retrieval", output="Pro costs $49 a month.")
    assert traffic.found().cases[0]["metadata"]["context"] == ["Pro costs $49 a month."]


def test_what_a_set_holds_already_is_split_off(traffic: Traffic) -> None:
    traffic.judge(traffic.span("How much does the Pro plan cost?"), passed="fail")
    found = traffic.found(known=[("g7 in golden.jsonl", "how much does the PRO plan cost")])
    assert found.cases == []
    assert found.overlapping[0]["metadata"]["overlaps"] == "g7 in golden.jsonl"


def test_traces_of_64_bit_ids_are_one_case_each(traffic: Traffic) -> None:
    """B3, Envoy, Jaeger and Datadog give 64-bit ids: in W3C they stand behind sixteen zeros."""
    questions = ["How much is Pro?", "Can I cancel on Sundays?", "Where is my invoice?", "Do you ship to Norway?"]
    for number, question in enumerate(questions):
        traffic.judge(traffic.span(question, trace_id=f"{number + 1:032x}"), passed="fail")
    found = find_failures(traffic.store, since=timedelta(days=1), project=traffic.project)
    assert sorted(case["id"] for case in found.cases) == [f"failure-{number + 1:032x}" for number in range(4)]


def test_a_reviewed_case_is_never_replaced_and_a_pending_one_not_silently(tmp_path: Path) -> None:
    def case(review: str, answer: str) -> dict[str, Any]:
        example = Example("failure-1", "regression", {"question": "How much?"}, answer, {"review": review})
        return {**example.to_json()}

    path = tmp_path / "r.jsonl"
    Dataset("r", examples=[Example.from_json(case("done", "reviewed"))]).save(path)
    written = export._write(
        Found(cases=[case("pending", "raw")], overlapping=[], failures=1, unreadable=0, cut=False), path, "jsonl"
    )
    assert Dataset.load(path)["failure-1"].expected_output == "reviewed"
    assert "1 reviewed cases were there under the same id: kept as they are" in written.lines(path)[0]
    Dataset("r", examples=[Example.from_json(case("pending", "old"))]).save(path)
    written = export._write(
        Found(cases=[case("pending", "raw")], overlapping=[], failures=1, unreadable=0, cut=False), path, "jsonl"
    )
    assert Dataset.load(path)["failure-1"].expected_output == "raw"
    assert "updated" in written.lines(path)[0]


def test_the_export_masks_adds_to_its_file_and_finds_nothing_new_twice(
    traffic: Traffic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evalspan.queries.store.client.connect", lambda _dsn: _Open(traffic.store))
    trace_id = traffic.span("my mail is ann@example.com, why was I billed twice?")
    traffic.judge(trace_id, passed="fail")
    place = tmp_path / "cases.jsonl"
    from click.testing import CliRunner

    arguments = ["failures", "--to", str(place), "--project", traffic.project]
    for _ in range(2):
        result = CliRunner().invoke(export.export, arguments)
        assert result.exit_code == 0, result.output
    (case,) = Dataset.load(place)
    assert case.input["question"] == "my mail is [EMAIL], why was I billed twice?"
    assert "ann@example.com" not in place.read_text()
    assert case.metadata["source_trace_id"] == trace_id
    assert case.pending
    assert "0 new cases, 1 held already" in result.output


class _Open:
    def __init__(self, store: Store) -> None:
        self.store = store

    def __enter__(self) -> Store:
        return self.store

    def __exit__(self, *_: object) -> None:
        return None


@pytest.mark.parametrize("text", ["", "24", "h", "-1h", "0h", "1y", "1h; DROP TABLE spans"])
def test_a_duration_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="length of time"):
        parse_duration(text)


def test_clusters_do_not_chain_and_lose_nothing() -> None:
    texts = [
        "",
        "",
        "what is the price of pro",
        "what is the price of pro?",
        "cancel my plan",
        "ÜBER 漢字",
        "über 漢字",
    ]
    groups = clusters(texts)
    assert groups == [[0, 1], [2, 3], [4], [5, 6]]
    many = [f"question number {number} about topic {number * 7919}" for number in range(300)]
    assert sorted(number for group in clusters(many) for number in group) == list(range(300))


def test_a_limit_takes_the_newest_and_says_so(traffic: Traffic) -> None:
    for question, hours in (("an old failure about invoices", 5), ("a new failure about login", 1)):
        traffic.judge(traffic.span(question, start_time=NOW - timedelta(hours=hours)), passed="fail")
    found = traffic.found(limit=1)
    assert [case["input"]["question"] for case in found.cases] == ["a new failure about login"]
    assert found.cut
    assert not traffic.found().cut
