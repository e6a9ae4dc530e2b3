"""Log records that are messages: what older instrumentors say about a call beside its span, brought to one shape."""

from __future__ import annotations

from typing import Any, NamedTuple

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from ...instrument import semconv
from ..dialects.attributes import any_value, parsed
from ..dialects.messages import Message, messages

DETAILS = "gen_ai.client.inference.operation.details"
CHOICE = "gen_ai.choice"
_ROLES = {f"gen_ai.{role}.message": role for role in ("system", "user", "assistant", "tool")}
EVENTS = frozenset({*_ROLES, CHOICE, DETAILS})


class MessageEvent(NamedTuple):
    """The messages of one event, and the span they belong to."""

    project: str
    trace_id: str
    span_id: str
    inputs: list[Message]
    outputs: list[Message]


def message_event(record: LogRecord, project: str) -> MessageEvent:
    """The messages of one log record of a checked request. Whatever a sender wrote may raise anything."""
    inputs, outputs = _messages(record)
    return MessageEvent(project, record.trace_id.hex(), record.span_id.hex(), _sound(inputs), _sound(outputs))


def _sound(found: list[Message]) -> list[Message]:
    """Messages with a role that is a text and parts that are tables; what is neither becomes text."""
    return [
        {**message, "role": str(message.get("role") or "user"), "parts": [_part(part) for part in _listed(message)]}
        for message in found
    ]


def _listed(message: Message) -> list[Any]:
    parts = message.get("parts")
    return parts if isinstance(parts, list) else [] if parts is None else [parts]


def _part(part: Any) -> dict[str, Any]:
    return part if isinstance(part, dict) else {"type": "text", "content": str(part)}


def _messages(record: LogRecord) -> tuple[list[Message], list[Message]]:
    attributes = {item.key: any_value(item.value) for item in record.attributes}
    name = record.event_name or str(attributes.get("event.name") or "")
    body = any_value(record.body)
    if name == DETAILS:
        told = {**(body if isinstance(body, dict) else {}), **attributes}
        instructions = parsed(told.get(semconv.SYSTEM_INSTRUCTIONS))
        system = [{"role": "system", "parts": instructions}] if instructions else []
        inputs = messages(told.get(semconv.INPUT_MESSAGES))
        return [*system, *inputs], messages(told.get(semconv.OUTPUT_MESSAGES), role="assistant")
    if name == CHOICE:
        choice = body if isinstance(body, dict) else {"message": body}
        found = messages(choice.get("message"), role="assistant")
        reason = choice.get("finish_reason")
        return [], [{**message, **({"finish_reason": reason} if reason else {})} for message in found]
    role = _ROLES[name]
    flat: Any = {"role": role, **body} if isinstance(body, dict) else {"role": role, "content": body}
    if "id" in flat and role == "tool":
        flat["tool_call_id"] = flat.pop("id")
    return messages(flat), []
