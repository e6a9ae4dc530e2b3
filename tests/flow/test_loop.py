"""The whole loop on the real model: one line in the app, spans, scores, SQL, a failure, a case, the gate."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.context import Context, attach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import evalspan
from evalspan.collector.demo.assistant import BAD_PROMPT, GOOD_PROMPT, Assistant
from evalspan.collector.demo.local_model import MODEL_NAME
from evalspan.collector.demo.service import evalspan_command, serving
from evalspan.evaluators.datasets import Dataset

pytestmark = [pytest.mark.model, pytest.mark.slow]

CONFIG = """
[[evaluation.rules]]
name = "answers"
evaluators = ["evalspan.collector.demo.suite:SUITE"]
quiet_s = 0
"""
CHECKS = """
from evalspan.evaluators import evaluator

@evaluator(name="short", version="1")
def short(output):
    return len(output) < 20

SUITE = [short]

def wordy(input):
    return "a long answer to " + str(input)

def terse(input):
    return "yes"
"""
ASKED = [
    ("How much does the Pro plan cost?", GOOD_PROMPT, "openai"),
    ("How do I cancel my plan?", GOOD_PROMPT, "stream"),
    ("When are invoices sent?", BAD_PROMPT, "anthropic"),
    ("Do you accept PayPal?", BAD_PROMPT, "openai"),
]


class Loop:
    """A served store with the answers of the assistant in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str) -> tuple[int, str]:
        return evalspan_command(*arguments, folder=self.folder)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        code, said = self.run("sql", sql, "--format", "jsonl")
        assert code == 0, said
        return [json.loads(line) for line in said.splitlines() if line.startswith("{")]

    def wait_for(self, sql: str, n: int) -> list[dict[str, Any]]:
        deadline = time.monotonic() + 60
        while len(rows := self.rows(sql)) < n and time.monotonic() < deadline:
            time.sleep(0.5)
        return rows


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory, model_url: str) -> Iterator[Loop]:
    folder = tmp_path_factory.mktemp("loop")
    (folder / "evalspan.toml").write_text(CONFIG)
    (folder / "checks.py").write_text(CHECKS)
    with serving(folder, folder / "evalspan.toml") as url:
        provider = TracerProvider(resource=Resource.create({"service.name": "loop"}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{url}/v1/traces")))
        handle = evalspan.init(tracer_provider=provider)
        assistant = Assistant(model_url, MODEL_NAME)
        attach(Context())  # each question starts a trace, whatever ran in this thread before
        for question, prompt, way in ASKED:
            with evalspan.context(session="s1", user="u1"):
                assistant.answer(question, prompt, way=way)
        handle.flush()
        provider.force_flush()
        yield Loop(folder)
        handle.shutdown()
        evalspan.uninstrument()


def test_the_readmes_query_answers_with_the_models_real_numbers(loop: Loop) -> None:
    loop.wait_for("SELECT 1 FROM spans WHERE operation = 'chat'", 4)
    sql = "SELECT request_model, count() AS n, avg(output_tokens) AS tokens FROM spans GROUP BY 1"
    chat = next(row for row in loop.rows(sql) if row["request_model"])
    assert chat["request_model"] == MODEL_NAME
    assert int(chat["n"]) == 4
    assert 0 < float(chat["tokens"]) <= 48


def test_an_edited_system_prompt_shows_as_a_new_fingerprint_through_both_sdks(loop: Loop) -> None:
    rows = loop.wait_for("SELECT provider, system_hash, user_id FROM spans WHERE operation = 'chat'", 4)
    assert len({row["system_hash"] for row in rows}) == 2
    assert {row["provider"] for row in rows} == {"openai", "anthropic"}
    assert {row["user_id"] for row in rows} == {"u1"}


def test_a_trace_holds_the_workflow_its_retrieval_and_its_call(loop: Loop) -> None:
    loop.wait_for("SELECT 1 FROM spans", 12)
    rows = loop.rows("SELECT trace_id, groupArray(operation) AS operations FROM spans GROUP BY trace_id")
    assert len(rows) == 4
    for row in rows:
        assert sorted(row["operations"]) == ["chat", "invoke_workflow", "retrieval"]


def test_every_answer_is_scored_or_says_why_not(loop: Loop) -> None:
    rows = loop.wait_for("SELECT name, score, error, system_hash FROM evaluations", 12)
    assert len(rows) == 12
    assert {row["name"] for row in rows} == {"support_style", "answer_f1", "grounded"}
    assert all(row["score"] is not None or row["error"] for row in rows)
    assert all(row["system_hash"] for row in rows)


def test_too_few_scores_are_inconclusive_for_drift(loop: Loop) -> None:
    loop.wait_for("SELECT 1 FROM evaluations", 12)
    code, said = loop.run("drift", "--since", "1h")
    assert code == 4, said


def test_a12_a13_a_failure_becomes_a_case_that_gates_once_it_is_reviewed(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop.wait_for("SELECT 1 FROM evaluations", 12)
    cases = loop.folder / "cases.jsonl"
    code, said = loop.run("export", "failures", "--since", "1h", "--where", "score >= 0", "--to", str(cases))
    assert code == 0, said
    exported = Dataset.load(cases)
    assert 1 <= len(exported) <= 4
    traces = {row["trace_id"] for row in loop.rows("SELECT DISTINCT trace_id FROM spans")}
    assert {example.metadata["source_trace_id"] for example in exported} <= traces

    monkeypatch.chdir(loop.folder)
    gate = ("gate", "--dataset", "cases.jsonl", "--suite", "checks:SUITE", "--no-cache", "--target")
    assert loop.run(*gate, "checks:terse")[0] == 4, "a case nobody reviewed proves nothing"
    for example in exported:
        example.metadata.update(review="done", root_cause="test", reviewers=["ann"])
        example.expected_output = "yes"
    exported.save(cases)
    assert loop.run(*gate, "checks:terse")[0] == 0
    assert loop.run(*gate, "checks:wordy")[0] == 3


def test_a_second_process_on_the_store_is_told_who_has_it_and_the_way_in(loop: Loop) -> None:
    code, said = loop.run("serve", "--port", "0", "--grpc-port", "0", "--sql-port", "0")
    assert code == 5, said
    assert "http://127.0.0.1" in said
