"""Messages as a store holds them, in any shape that senders use, give the same texts to every reader."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evalspan.collector.sampling import span_view
from evalspan.dashboard import messages as page
from evalspan.evaluators.arguments import span_arguments
from evalspan.queries.messages import answer_in, input_of, lines_of, output_text, question_in

SHAPES: dict[str, list[dict[str, Any]]] = {
    "conventions": [{"role": "user", "parts": [{"type": "text", "content": "Where is my parcel?"}]}],
    "chat completions": [{"role": "user", "content": "Where is my parcel?"}],
    "content parts": [{"role": "user", "content": [{"type": "text", "text": "Where is my parcel?"}]}],
    "responses": [{"role": "user", "content": [{"type": "input_text", "text": "Where is my parcel?"}]}],
    "with a system prompt": [
        {"role": "system", "parts": [{"type": "text", "content": "You are brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": "Where is my parcel?"}]},
    ],
    "a tool's result as the user's": [
        {"role": "user", "parts": [{"type": "text", "content": "Where is my parcel?"}]},
        {"role": "user", "parts": [{"type": "tool_call_response", "id": "1", "response": "in Rome"}]},
    ],
}


@pytest.mark.parametrize("shape", [name for name in SHAPES if name != "a tool's result as the user's"])
def test_every_reader_finds_the_same_question(shape: str) -> None:
    raw, asked = json.dumps(SHAPES[shape]), "Where is my parcel?"
    assert question_in(raw) == asked
    assert input_of(raw)["question"] == asked
    assert span_arguments({"input": raw})["input"] == asked
    assert page.last_question(raw) == asked
    assert list(span_view._texts(raw)) == [asked]
    assert (SHAPES[shape][-1]["role"], asked) in lines_of(raw)


def test_a_tools_result_among_the_users_messages_is_not_the_question() -> None:
    raw = json.dumps(SHAPES["a tool's result as the user's"])
    assert question_in(raw) == span_arguments({"input": raw})["input"] == "Where is my parcel?"


@pytest.mark.parametrize("kind", ["text", "output_text", "refusal"])
def test_every_reader_finds_the_same_answer(kind: str) -> None:
    raw = json.dumps([{"role": "assistant", "parts": [{"type": kind, "content": "In Rome."}]}])
    assert answer_in(raw) == span_arguments({"output": raw})["output"] == page.plain_text(raw) == "In Rome."
    assert lines_of(raw) == [("assistant", "In Rome.")]


def test_a_function_argument_called_messages_stays_an_argument() -> None:
    value = {"messages": [{"role": "user", "content": "hi"}], "limit": 3}
    assert span_arguments({"input": json.dumps(value)})["input"] == value


def test_a_tool_call_is_no_answer_but_is_not_lost_from_a_case() -> None:
    raw = json.dumps(
        [{"role": "assistant", "parts": [{"type": "tool_call", "id": "1", "name": "find", "arguments": {"q": 1}}]}]
    )
    assert span_arguments({"output": raw})["output"] is None
    assert '"name":"find"' in output_text(raw)
    assert lines_of(raw) == [("assistant", 'find({"q":1})')]


@pytest.mark.parametrize(
    "odd", ["plain", "[1]", "{}", "", "[" * 3000, '[{"role": 5}]', '[{"role": "user", "parts": 7}]']
)
def test_what_holds_no_messages_is_shown_as_it_is_by_every_reader(odd: str) -> None:
    assert lines_of(odd) == ([("", odd)] if odd else [])
    assert list(span_view._texts(odd)) == [odd]
    for read in (page.last_question, page.plain_text, question_in, output_text):
        assert isinstance(read(odd), str)
    assert isinstance(span_arguments({"input": odd, "output": odd}), dict)
