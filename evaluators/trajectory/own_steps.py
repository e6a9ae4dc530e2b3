"""A trace from what a target returns itself, for agents that nothing instruments: its tool calls, messages or spans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from ...queries.plain_json import plain_json
from .trace import Trace, trace_of

OWN_STEPS = ("spans", "messages", "tool_calls")


def trace_from_answer(details: Mapping[str, Any], *, question: str, answer: str) -> Trace | None:
    """The trace that a target's answer describes: `spans` (rows like those of the table), `messages` (its conversation
    with the model) or `tool_calls` (objects with `name`, `arguments`, `result`, `error`); None when it says nothing.
    """
    spans, messages, calls = (details.get(name) for name in OWN_STEPS)
    if isinstance(spans, list) and spans and all(isinstance(one, Mapping) and one.get("span_id") for one in spans):
        return trace_of([_row(one) for one in spans])
    if isinstance(messages, list) and messages:
        return trace_of(_from_messages(messages, answer))
    if isinstance(calls, list) and all(isinstance(one, Mapping) and one.get("name") for one in calls):
        return trace_of(_from_calls(calls, question, answer))
    return None


def _from_messages(messages: Sequence[Any], answer: str) -> list[dict[str, Any]]:
    """A model call for every message of the assistant, with what came before it as its input."""
    root = _span(0, "", "invoke_agent", operation="invoke_agent", duration_ns=len(messages) * 10**9, output=answer)
    rows = [root]
    for number, message in enumerate(messages):
        if isinstance(message, Mapping) and message.get("role") == "assistant":
            before, said = (msgspec.json.encode(plain_json(one)).decode() for one in (messages[:number], [message]))
            rows.append(_span(number + 1, root["span_id"], "chat", operation="chat", input=before, output=said))
    # What came after the last message of the assistant is known to no model call: a last call without an answer has it.
    if messages and not (isinstance(messages[-1], Mapping) and messages[-1].get("role") == "assistant"):
        everything = msgspec.json.encode(plain_json(list(messages))).decode()
        rows.append(_span(len(messages) + 1, root["span_id"], "chat", operation="chat", input=everything))
    return rows


def _from_calls(calls: Sequence[Mapping[str, Any]], question: str, answer: str) -> list[dict[str, Any]]:
    root = _span(
        0,
        "",
        "invoke_agent",
        operation="invoke_agent",
        duration_ns=(len(calls) + 1) * 10**9,
        input=question,
        output=answer,
    )
    rows = [root]
    for number, one in enumerate(calls, start=1):
        error = str(one.get("error") or "")
        rows.append(
            _span(
                number,
                root["span_id"],
                f"execute_tool {one['name']}",
                operation="execute_tool",
                tool_name=str(one["name"]),
                input=_text(one.get("arguments", {})),
                output=_text(one.get("result")) if one.get("result") is not None else "",
                status="ERROR" if error else "OK",
                status_message=error,
            )
        )
    return rows


def _span(number: int, parent: str, name: str, **columns: Any) -> dict[str, Any]:
    return {
        "trace_id": "",
        "span_id": f"{number + 1:016x}",
        "parent_span_id": parent,
        "start_time": datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
        "duration_ns": 10**9 // 2,
        "name": name,
        "status": "UNSET",
        "input": "",
        "output": "",
        "attributes": {},
        **columns,
    }


def _row(one: Mapping[str, Any]) -> dict[str, Any]:
    row = {**_span(0, "", str(one.get("name") or "span")), **one}
    start = row["start_time"]
    if isinstance(start, str):
        start = datetime.fromisoformat(start)
    row["start_time"] = start if start.tzinfo else start.replace(tzinfo=UTC)
    row["parent_span_id"] = str(one.get("parent_span_id") or "")
    return row


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(plain_json(value)).decode()
