"""What content may leave, and in what size: turns captured values into JSON attributes, redacted and bounded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from . import semconv
from .well_formed import well_formed, well_formed_value

if TYPE_CHECKING:
    from .redact import Redactor

_encoder = msgspec.json.Encoder(enc_hook=repr)
encode = _encoder.encode

# Values under these names are content: lists of messages, parts, definitions or documents.
CONTENT_ATTRIBUTES = frozenset(
    {
        semconv.INPUT_MESSAGES,
        semconv.OUTPUT_MESSAGES,
        semconv.SYSTEM_INSTRUCTIONS,
        semconv.TOOL_DEFINITIONS,
        semconv.TOOL_ARGUMENTS,
        semconv.TOOL_RESULT,
        semconv.RETRIEVAL_QUERY,
        semconv.RETRIEVAL_DOCUMENTS,
        semconv.INPUT_VALUE,
        semconv.OUTPUT_VALUE,
        semconv.CONTEXT,
    }
)
# Among them, what the message schemas give a structure of keys and words that is not the app's own.
_STRUCTURED = frozenset(
    {semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES, semconv.SYSTEM_INSTRUCTIONS, semconv.TOOL_DEFINITIONS}
)
# No content, but written by the app or the API as they like.
_TEXTS_OF_OTHERS = frozenset({semconv.REQUEST_STOP_SEQUENCES, semconv.FINISH_REASONS})
CODE = r"[A-Za-z][\w.:-]{0,99}"
"""What an API calls an error, and no sentence that may quote the request."""
_MAX_MESSAGE = 1000
_ROOM_FOR_MARKS = 160
_MIN_CUT = 64
# Memory that is written to again and again: growing new memory for a long conversation costs more than encoding it.
# Whoever encodes takes one out meanwhile.
_buffers: list[bytearray] = []
_MAX_BUFFERS = 4


class ContentPolicy:
    """Decides for one `init` whether content is kept, how it is masked and how long it may be."""

    def __init__(self, *, on_span: bool, on_event: bool = False, redactor: Redactor | None, max_bytes: int) -> None:
        self.on_span = on_span
        self.kept = on_span or on_event
        self.redactor = redactor
        self.max_bytes = max_bytes

    def sanitize(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """Replaces the content among the attributes by JSON text that may leave, and names what was cut."""
        if not self.kept:
            return without_content(attributes)
        cut: list[str] = []
        for name in CONTENT_ATTRIBUTES.intersection(attributes):
            value = attributes[name]
            if self.redactor is not None:
                value = self.redactor.messages(value) if name in _STRUCTURED else self.redactor.value(value)
            if name == semconv.RETRIEVAL_QUERY and isinstance(value, str):
                attributes[name], shortened = shorten(well_formed(value), self.max_bytes)
            else:
                attributes[name], shortened = to_json(value, self.max_bytes)
            if shortened:
                cut.append(name)
        if self.redactor is not None:
            for name in _TEXTS_OF_OTHERS.intersection(attributes):
                attributes[name] = self.redactor.value(attributes[name])
        if cut:
            attributes[semconv.TRUNCATED] = sorted(cut)
        return attributes

    def sanitize_user_attributes(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """What the application itself says of a span, in its own types: masked, and no content where none may leave."""
        if not self.on_span:
            attributes = without_content(attributes)
        if self.redactor is not None:
            attributes = {self.redactor.text(name): self.redactor.value(value) for name, value in attributes.items()}
        return {well_formed(name): well_formed_value(value) for name, value in attributes.items()}

    def name(self, name: str) -> str:
        """The name of a span: masked."""
        if self.redactor is not None:
            name = self.redactor.text(name)
        return name if name.isascii() else well_formed(name)

    def text(self, text: str) -> str:
        """A short text that the application gives: masked and at most 1,000 characters."""
        if self.redactor is not None:
            text = self.redactor.text(text)
        return well_formed(text if len(text) <= _MAX_MESSAGE else text[: _MAX_MESSAGE - 1] + "…")

    def error_message(self, error: BaseException) -> str | None:
        """An exception's text as a status description; where no content may leave, its HTTP status and code at most.

        The APIs quote the request in their errors, and so do many exceptions.
        """
        if self.on_span:
            return self.text(str(error))
        said = []
        if isinstance(status := getattr(error, "status_code", None), int):
            said.append(f"HTTP {status}")
        if isinstance(code := getattr(error, "code", None), str) and re.fullmatch(CODE, code):
            said.append(code)
        return ", ".join(said) or None

    def api_message(self, text: Any) -> str | None:
        """What an API says of a failure inside its answer; nothing where no content may leave."""
        return self.text(text) if self.on_span and isinstance(text, str) else None


def without_content(attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes that say nothing of what was said."""
    return {name: value for name, value in attributes.items() if name not in CONTENT_ATTRIBUTES}


def to_json(value: Any, max_bytes: int) -> tuple[str, bool]:
    """The value as JSON of at most `max_bytes`, and whether something was cut to get there."""
    try:
        buffer = _buffers.pop()
    except IndexError:
        buffer = bytearray()
    try:
        _encoder.encode_into(value, buffer)
    except UnicodeEncodeError:
        value = well_formed_value(value)
        _encoder.encode_into(value, buffer)
    if len(buffer) <= max_bytes:
        whole = buffer.decode()
        if len(_buffers) < _MAX_BUFFERS:
            _buffers.append(buffer)
        return whole, False
    fitted = _fit_list(value, max_bytes) if isinstance(value, list) else _fit(value, max_bytes)
    raw = encode(fitted)
    if len(raw) > max_bytes:
        # Thousands of tiny values: what they say is lost either way, so only their size is told.
        raw = encode(_mark(f"{len(encode(value))} bytes cut") if isinstance(value, list) else "[evalspan: cut]")
    return raw.decode(), True


def shorten(text: str, max_bytes: int) -> tuple[str, bool]:
    """The text cut in its middle to at most `max_bytes` of JSON, with a mark that says how much is missing."""
    size = len(encode(text))
    if size <= max_bytes:
        return text, False
    # Escapes make JSON longer than the text; the ratio tells by how much.
    keep = max(_MIN_CUT, int(len(text) * (max_bytes - _ROOM_FOR_MARKS) / size))
    while True:
        head, tail = text[: keep * 2 // 3], text[len(text) - keep // 3 :]
        short = f"{head}…[evalspan: {len(text) - len(head) - len(tail)} characters cut]…{tail}"
        if len(encode(short)) <= max_bytes or keep <= _MIN_CUT:
            return short, True
        keep = keep * 3 // 4


def _fit_list(items: list[Any], max_bytes: int) -> list[Any]:
    """Leading system messages first, then the newest; what does not fit is cut, then dropped, and a mark says so."""
    leading = 0
    while leading < len(items) and _is_system(items[leading]):
        leading += 1
    budget = max_bytes - _ROOM_FOR_MARKS
    kept: dict[int, Any] = {}
    for index in [*range(leading), *range(len(items) - 1, leading - 1, -1)]:
        size = len(encode(items[index])) + 1
        if size <= budget:
            kept[index] = items[index]
        elif budget > 4 * _ROOM_FOR_MARKS:
            kept[index] = _fit(items[index], budget)
            size = len(encode(kept[index])) + 1
        else:
            break
        budget -= size
    result = [kept[index] for index in sorted(kept)]
    if missing := len(items) - len(kept):
        result[min(leading, len(result)) : min(leading, len(result))] = _mark(f"{missing} earlier items cut")
    return result


def _fit(value: Any, max_bytes: int) -> Any:
    """One value with its longest texts cut until it fits, as far as cutting texts can do that."""
    texts: list[int] = []
    _text_sizes(value, texts)
    overhead = len(encode(value)) - sum(texts)
    limit = _even_limit(sorted(texts), max(_MIN_CUT, max_bytes - overhead))
    return _cut_texts(value, limit)


def _text_sizes(value: Any, found: list[int]) -> None:
    if isinstance(value, str):
        found.append(len(encode(value)))
    elif isinstance(value, dict):
        for item in value.values():
            _text_sizes(item, found)
    elif isinstance(value, list):
        for item in value:
            _text_sizes(item, found)


def _even_limit(sizes: list[int], budget: int) -> int:
    """The longest text allowed such that all together fit the budget: short ones stay whole."""
    for index, size in enumerate(sizes):
        share = budget // (len(sizes) - index)
        if size > share:
            return share
        budget -= size
    return max(sizes, default=0)


def _cut_texts(value: Any, limit: int) -> Any:
    if isinstance(value, str):
        return shorten(value, limit)[0] if len(value) > _MIN_CUT * 2 else value
    if isinstance(value, dict):
        return {key: _cut_texts(item, limit) for key, item in value.items()}
    if isinstance(value, list):
        return [_cut_texts(item, limit) for item in value]
    return value


def _is_system(item: Any) -> bool:
    return isinstance(item, dict) and item.get("role") == "system"


def _mark(what: str) -> list[Any]:
    return [{"role": "evalspan", "parts": [{"type": "truncated", "content": f"[evalspan: {what}]"}]}]
