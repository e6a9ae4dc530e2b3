"""From a row of the table `spans` to an evaluator's arguments: texts, so that the same function runs on examples in CI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from ..instrument import semconv
from ..queries.messages import Message, decode, messages_in, parts_of, text_of
from ..queries.span_scoring_store import NO_PASSAGES, Passage, Passages
from .text.passages import passage_text

_DOCUMENT_PARTS = ("document", "file", "search_result")


def span_arguments(row: Mapping[str, Any], passages: Passages = NO_PASSAGES) -> dict[str, Any]:
    """`input`, `output`, `context` and `span` of a stored span.

    `input` is the text of the last user message that has one, `output` the text of the answer, None where the turn
    only calls tools; of an observed function or a tool they are its arguments and result. `context` is all that the
    answer may rest on, each with its source: a list of {"source": ..., "text": ...}, of the span's attribute
    `evalspan.context`, what was retrieved and what tools returned in the trace before the answer ended, and the tool
    results and documents in the span's own messages; None where there is nothing. `span` is the whole row.
    """
    return {
        "input": _asked(row.get("input")),
        "output": _answered(row.get("output")),
        "context": _context(row, passages) or None,
        "span": dict(row),
    }


def _context(row: Mapping[str, Any], passages: Passages) -> list[dict[str, str]]:
    found = [*_stated(row), *_before_the_answer(row, passages), *_in_messages(row.get("input"))]
    # A tool's result stands in its own span and in the next call's messages: one text is one passage.
    first = {" ".join(one.text.split()): one for one in reversed(found) if one.text.strip()}
    kept = {id(one) for one in first.values()}
    return [{"source": one.source, "text": one.text} for one in found if id(one) in kept]


def _stated(row: Mapping[str, Any]) -> Iterator[Passage]:
    stated = (row.get("attributes") or {}).get(semconv.CONTEXT)
    if stated:
        yield Passage(f"attribute {semconv.CONTEXT}", passage_text(decode(stated)))


def _before_the_answer(row: Mapping[str, Any], passages: Passages) -> Iterator[Passage]:
    """What was there when the answer ended; the span itself, when it is a tool, is no evidence for itself."""
    ended = _ended_ns(row)
    for one in passages:
        if one.span_id != row.get("span_id") and (ended is None or one.ended_ns <= ended):
            yield one._replace(text=passage_text(decode(one.text)))


def _ended_ns(row: Mapping[str, Any]) -> int | None:
    start = row.get("start_time")
    if not isinstance(start, datetime):
        return None
    aware = start if start.tzinfo else start.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    # A datetime holds microseconds: what ended within the same one was there.
    return ((since.days * 86400 + since.seconds) * 10**6 + since.microseconds + 1) * 1000 + int(
        row.get("duration_ns") or 0
    )


def _in_messages(raw: Any) -> Iterator[Passage]:
    """Tool results and documents in the messages of a call."""
    names: dict[str, str] = {}
    for part in (part for message in _conversation(decode(raw)) for part in parts_of(message)):
        kind = part.get("type")
        if kind == "tool_call":
            names[str(part.get("id"))] = str(part.get("name") or "")
        elif kind == "tool_call_response":
            name = str(part.get("name") or names.get(str(part.get("id")), ""))
            yield Passage(f"tool {name}".strip(), passage_text(decode(part.get("response", part.get("result")))))
        elif kind in _DOCUMENT_PARTS:
            title = str(part.get("title") or part.get("filename") or part.get("name") or "")
            yield Passage(f"document {title}".strip(), _document_text(part))


def _document_text(part: Mapping[str, Any]) -> str:
    """The text of a document part; what has none (a file by its id, an image) is no passage."""
    texts = [part[key] for key in ("text", "content", "data", "source") if isinstance(part.get(key), str | list)]
    source = part.get("source")
    if isinstance(source, dict):
        texts += [source[key] for key in ("text", "content", "data") if isinstance(source.get(key), str | list)]
    return passage_text(texts)


def _asked(raw: Any) -> Any:
    value = decode(raw)
    found = _conversation(value)
    if not found:
        return value
    asked = [message for message in found if message.get("role") == "user"] or found[-1:]
    # In some APIs the results of tools come as the user's messages.
    texts = [text for message in asked if (text := text_of(message)).strip()]
    return texts[-1] if texts else _whole(asked[-1])


def _answered(raw: Any) -> Any:
    value = decode(raw)
    found = _conversation(value)
    if not found:
        return value
    answers = [message for message in found if message.get("role") == "assistant"] or found[-1:]
    texts = [text for message in answers if (text := text_of(message)).strip()]
    has_parts = any(parts_of(message) for message in answers)
    return "\n".join(texts) if texts or not has_parts else None


def _whole(message: Message) -> str:
    parts = parts_of(message)
    return msgspec.json.encode(parts).decode() if parts else ""


def _conversation(value: Any) -> list[Message]:
    """The messages of a model call; none for the arguments of a function, even where one is called `messages`."""
    return messages_in(value) if isinstance(value, list) else []
