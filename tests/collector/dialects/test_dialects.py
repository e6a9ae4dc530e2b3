"""Spans that other instrumentors really emitted (recordings/, made by record.py) land in the same columns as ours."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evalspan.collector.dialects import normalise
from evalspan.collector.insert.prices import Pricing
from evalspan.collector.log import framing
from evalspan.collector.sampling.rewrite import drop_content
from evalspan.queries.store.client import Store

RECORDINGS = Path(__file__).parent / "recordings"
EVERY = sorted(path.stem for path in RECORDINGS.glob("*.otlp"))
ALL = [name for name in EVERY if name != "openlit"]  # it sends what was said as log records
WITH_OPENAI = [name for name in ALL if name != "anthropic"]
WITH_ANTHROPIC = [name for name in ALL if name != "langfuse"]  # it has no instrumentor for anthropic
WITH_CONTEXT = ["langfuse", "openinference", "openllmetry"]  # the others put no session or user on spans
WITH_TOOLS = ["langfuse", "mlflow", "openinference", "openllmetry"]  # the others have no span for a tool
SYSTEM, QUESTION, ANSWER = (
    "You are a polite support agent.",
    "How do I reset the doorbell?",
    "Hold the button for ten seconds.",
)


def recorded(dialect: str) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest.FromString((RECORDINGS / f"{dialect}.otlp").read_bytes())


@pytest.fixture(scope="module")
def rows(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Every recording through the normaliser, the log's framing and the store's own decoder."""
    found = {}
    for dialect in ALL:
        request = recorded(dialect)
        normalise(request)
        project = f"dialect-{dialect}"
        record = b"".join(framing.frame(request.SerializeToString(), project, 1_790_000_000_000))
        store.insert_otlp(record, token=project)
        sql = "SELECT * FROM spans WHERE project = {p:String} ORDER BY start_time"
        found[dialect] = store.query(sql, {"p": project}).dicts()
    return found


def texts(messages: str) -> list[tuple[str, str]]:
    return [
        (message["role"], part["content"])
        for message in json.loads(messages)
        for part in message["parts"]
        if part["type"] == "text"
    ]


def chats(rows: list[dict[str, Any]], provider: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["operation"] == "chat" and row["provider"] == provider]


@pytest.mark.slow
@pytest.mark.parametrize("dialect", WITH_OPENAI)
def test_each_openai_call_is_one_chat_row(rows, dialect):
    calls = chats(rows[dialect], "openai")
    assert len(calls) == 6  # plain, tool call, tool answer, stream, responses, refused
    answered = [row for row in calls if row["status"] != "ERROR"]
    assert len(answered) == 5
    for row in answered:
        assert row["request_model"].startswith("gpt-4o-mini")
        assert row["response_model"].startswith("gpt-4o-mini")
        assert (row["input_tokens"], row["output_tokens"]) == (42, 17)
        assert row["cached_tokens"] == 8
        assert ("user", QUESTION) in texts(row["input"])


@pytest.mark.parametrize("dialect", WITH_OPENAI)
def test_streams_and_responses_have_their_answer_too(rows, dialect):
    answers = [texts(row["output"]) for row in chats(rows[dialect], "openai") if row["output"]]
    assert [("assistant", ANSWER)] in answers
    assert len([answer for answer in answers if answer == [("assistant", ANSWER)]]) == 4


@pytest.mark.parametrize("dialect", WITH_OPENAI)
def test_reasoning_tokens_are_counted_wherever_the_package_reports_them(rows, dialect):
    counted = [row["reasoning_tokens"] for row in chats(rows[dialect], "openai") if row["status"] != "ERROR"]
    missing = 1 if dialect == "openllmetry" else 0  # it loses them in streams
    assert sorted(counted) == [0] * missing + [5] * (5 - missing)


@pytest.mark.parametrize("dialect", WITH_OPENAI)
def test_a_tool_call_and_its_answer_are_parts_of_the_messages(rows, dialect):
    parts = [
        part
        for row in chats(rows[dialect], "openai")
        for column in ("input", "output")
        for message in json.loads(row[column] or "[]")
        for part in message["parts"]
    ]
    calls = [part for part in parts if part["type"] == "tool_call"]
    assert {(call["name"], json.dumps(call["arguments"]), call["id"]) for call in calls} == {
        ("find_order", '{"order_id": "A-17"}', "call_1")
    }
    assert len(calls) == 2
    assert [part["response"] for part in parts if part["type"] == "tool_call_response"] == ["order A-17: shipped"]


@pytest.mark.parametrize("dialect", WITH_OPENAI)
def test_a_refused_call_is_an_error_row_with_its_type(rows, dialect):
    (failed,) = [row for row in rows[dialect] if row["status"] == "ERROR" and row["operation"] == "chat"]
    assert failed["request_model"] == "no-such-model"
    if dialect != "langfuse":  # it keeps only the message
        assert failed["error_type"].endswith("NotFoundError")
    else:
        assert "404" in failed["status_message"]


@pytest.mark.parametrize("dialect", WITH_ANTHROPIC)
def test_each_anthropic_call_is_one_chat_row_with_cached_tokens_in_the_input(rows, dialect):
    calls = chats(rows[dialect], "anthropic")
    assert len(calls) == 2
    for row in calls:
        assert row["request_model"] == "claude-sonnet-4-5"
        assert row["response_model"] == "claude-sonnet-4-5-20250929"
        assert (row["input_tokens"], row["output_tokens"], row["cached_tokens"]) == (46, 11, 12)
        assert ("user", QUESTION) in texts(row["input"])
        assert ("assistant", ANSWER) in texts(row["output"])
    calls = [part for row in calls for part in json.loads(row["output"])[0]["parts"] if part["type"] == "tool_call"]
    assert [(call["name"], call["arguments"]) for call in calls] == [("find_order", {"order_id": "A-17"})]


def test_openlit_s_counts_are_whole_and_its_cost_of_nothing_is_no_cost(store: Store) -> None:
    """It has no prices without the network, and Anthropic's input without its cache."""
    request = recorded("openlit")
    normalise(request)
    record = b"".join(framing.frame(request.SerializeToString(), "dialect-openlit", 1_790_000_000_000))
    Pricing(store).insert(record, "dialect-openlit")
    sql = """SELECT operation, provider, input_tokens, output_tokens, cached_tokens, cost_usd > 0, status FROM spans
        WHERE project = 'dialect-openlit' AND role = 'call' ORDER BY start_time"""
    found = store.query(sql).rows
    chat, claude = ("chat", "openai", 42, 17, 8, True, "OK"), ("chat", "anthropic", 46, 11, 12, True, "OK")
    assert [row for row in found if row[:2] == chat[:2] and row[6] == "OK"] == [chat] * 5
    assert [row for row in found if row[1] == "anthropic"] == [claude] * 2
    assert [row[2] for row in found if row[0] == "embeddings"] == [6]
    assert [row[2:] for row in found if row[6] == "ERROR"] == [(None, None, None, None, "ERROR")]
    assert len(found) == 9


def test_the_same_system_prompt_has_the_same_fingerprint_in_every_dialect(rows):
    hashes = {row["system_hash"] for name in ALL for row in rows[name] if row["operation"] == "chat"}
    assert len(hashes) == 1
    assert hashes != {""}


@pytest.mark.parametrize("dialect", WITH_OPENAI)
def test_embeddings_have_their_own_operation_model_and_usage(rows, dialect):
    (row,) = [row for row in rows[dialect] if row["operation"] == "embeddings"]
    assert row["request_model"] == "text-embedding-3-small"
    assert row["input_tokens"] == 6


@pytest.mark.parametrize("dialect", WITH_TOOLS)
def test_a_tool_span_has_name_arguments_and_result(rows, dialect):
    (row,) = [row for row in rows[dialect] if row["operation"] == "execute_tool"]
    assert row["tool_name"] == "find_order"
    assert "A-17" in row["input"]
    assert "order A-17: shipped" in row["output"]


@pytest.mark.parametrize("dialect", WITH_TOOLS)
def test_an_agent_or_workflow_span_has_what_went_in_and_out(rows, dialect):
    (row,) = [row for row in rows[dialect] if row["operation"] in ("invoke_agent", "invoke_workflow")]
    assert row["parent_span_id"] == ""
    assert QUESTION in row["input"]
    assert ANSWER in row["output"]


def test_a_function_that_logfire_instruments_has_its_arguments_and_result(rows):
    (root,) = [row for row in rows["logfire"] if row["parent_span_id"] == ""]
    assert json.loads(root["input"]) == {"question": QUESTION}
    assert root["output"] == ANSWER


@pytest.mark.parametrize("dialect", WITH_CONTEXT)
def test_sessions_users_and_tags_are_columns_on_every_span(rows, dialect):
    for row in rows[dialect]:
        assert (row["conversation_id"], row["user_id"]) == ("session-1", "user-1")
        if dialect != "openllmetry":
            assert row["attributes"]["evalspan.tag.tier"] == "gold"
            assert row["attributes"]["evalspan.tag.beta"] == "true"


def test_the_prompt_version_of_openinference_is_a_column(rows):
    assert {row["prompt_version"] for row in rows["openinference"]} == {"v7"}


@pytest.mark.parametrize("dialect", EVERY)
def test_normalising_twice_changes_nothing_more(dialect):
    request = recorded(dialect)
    normalise(request)
    once = request.SerializeToString()
    assert normalise(request) is False
    assert request.SerializeToString() == once


def test_spans_of_our_own_scope_are_not_even_looked_at():
    request = recorded("openinference")
    for scope in request.resource_spans[0].scope_spans:
        scope.scope.name = "evalspan.openai"
    before = request.SerializeToString()
    assert normalise(request) is False
    assert request.SerializeToString() == before


def test_the_anthropic_sdk_s_own_span_under_an_instrumentor_is_not_a_second_call():
    outer, inner = recorded("openllmetry"), recorded("anthropic")
    wrapper = next(
        span
        for group in outer.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
        if span.name == "anthropic.chat"
    )
    native = inner.resource_spans[0].scope_spans[0].spans
    native[0].trace_id, native[0].parent_span_id = wrapper.trace_id, wrapper.span_id
    outer.MergeFrom(inner)
    normalise(outer)
    operations = [
        any(pair.key == "gen_ai.operation.name" for pair in span.attributes)
        for group in outer.resource_spans
        for scope in group.scope_spans
        if scope.scope.name.startswith("com.anthropic")
        for span in scope.spans
    ]
    assert operations == [False, True]


def test_older_conventions_flattened_messages_and_token_names_are_understood(store):
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"\7" * 16, span_id=b"\1" * 8)
    values = {
        "gen_ai.system": "OpenAI",
        "llm.request.type": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.prompt.0.role": "system",
        "gen_ai.prompt.0.content": SYSTEM,
        "gen_ai.prompt.1.role": "user",
        "gen_ai.prompt.1.content": QUESTION,
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": ANSWER,
        "gen_ai.completion.0.finish_reason": "stop",
        "gen_ai.completion.0.tool_calls.0.name": "find_order",
        "gen_ai.completion.0.tool_calls.0.arguments": '{"order_id": "A-17"}',
    }
    for key, value in values.items():
        span.attributes.add(key=key).value.string_value = value
    span.attributes.add(key="gen_ai.usage.prompt_tokens").value.int_value = 42
    span.attributes.add(key="gen_ai.usage.completion_tokens").value.int_value = 17
    assert normalise(request)
    store.insert_otlp(b"".join(framing.frame(request.SerializeToString(), "dialect-old", 1)), token="dialect-old")
    (row,) = store.query("SELECT * FROM spans WHERE project = 'dialect-old'").dicts()
    assert (row["operation"], row["input_tokens"], row["output_tokens"]) == ("chat", 42, 17)
    assert texts(row["input"]) == [("system", SYSTEM), ("user", QUESTION)]
    assert texts(row["output"]) == [("assistant", ANSWER)]
    assert len(row["system_hash"]) == 16


def test_messages_sent_as_nested_values_become_the_json_that_the_column_holds():
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"\7" * 16, span_id=b"\1" * 8)
    message = span.attributes.add(key="gen_ai.input.messages").value.array_value.values.add().kvlist_value.values
    message.add(key="role").value.string_value = "user"
    part = message.add(key="parts").value.array_value.values.add().kvlist_value.values
    part.add(key="type").value.string_value = "text"
    part.add(key="content").value.string_value = QUESTION
    assert normalise(request)
    assert json.loads(span.attributes[0].value.string_value) == [
        {"role": "user", "parts": [{"type": "text", "content": QUESTION}]}
    ]


@pytest.mark.slow
@settings(deadline=None)  # the machine's, not the code's
@given(st.randoms(use_true_random=False), st.sampled_from(ALL))
def test_a_mangled_foreign_span_is_kept_as_it_came_and_never_raises(rng: random.Random, dialect):
    request = recorded(dialect)
    spans = [s for group in request.resource_spans for scope in group.scope_spans for s in scope.spans]
    for span in spans:
        for pair in span.attributes:
            if rng.random() < 0.3:
                garbage = rng.choice(
                    ["", "[[", '{"choices": 7}', "[[[1]]]", '{"messages": {"a": null}}', "null", "\x00"]
                )
                pair.value.string_value = garbage
            elif rng.random() < 0.1:
                pair.value.array_value.values.add().int_value = 1
    normalise(request)
    assert len([s for group in request.resource_spans for scope in group.scope_spans for s in scope.spans]) == len(
        spans
    )


@pytest.mark.parametrize("dialect", ALL)
def test_the_content_policy_leaves_nothing_of_what_was_said_in_any_dialect(dialect):
    request = recorded(dialect)
    assert QUESTION in str(request)
    normalise(request)
    for span in (span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans):
        drop_content(span)
        for said in (QUESTION, ANSWER, "order A-17"):
            assert said not in str(span)


def test_messages_in_the_events_of_a_span_become_its_messages_and_are_kept_once():
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    older, oldest = spans.add(name="chat"), spans.add(name="openai.chat")
    for name, key, text in (
        ("gen_ai.system.message", "content", SYSTEM),
        ("gen_ai.user.message", "content", QUESTION),
        ("gen_ai.choice", "message", json.dumps({"role": "assistant", "content": ANSWER})),
    ):
        older.events.add(name=name).attributes.add(key=key).value.string_value = text
    oldest.events.add(name="gen_ai.content.prompt").attributes.add(key="gen_ai.prompt").value.string_value = QUESTION
    told = oldest.events.add(name="gen_ai.content.completion").attributes.add(key="gen_ai.completion")
    told.value.string_value = ANSWER
    oldest.events.add(name="exception")
    assert normalise(request)
    found = [{pair.key: pair.value.string_value for pair in span.attributes} for span in spans]
    assert texts(found[0]["gen_ai.input.messages"]) == [("system", SYSTEM), ("user", QUESTION)]
    assert texts(found[1]["gen_ai.input.messages"]) == [("user", QUESTION)]
    assert [texts(each["gen_ai.output.messages"]) for each in found] == [[("assistant", ANSWER)]] * 2
    assert [[event.name for event in span.events] for span in spans] == [[], ["exception"]]


def test_a_langfuse_trace_that_only_says_its_own_input_has_it_in_the_column():
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name="support")
    for key, text in (("langfuse.trace.input", QUESTION), ("langfuse.trace.output", ANSWER)):
        span.attributes.add(key=key).value.string_value = text
    assert normalise(request)
    assert {pair.key: pair.value.string_value for pair in span.attributes} == {
        "evalspan.input": QUESTION,
        "evalspan.output": ANSWER,
    }
