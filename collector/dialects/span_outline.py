"""What of each span decides how a request is received: ids, state, and the few attributes that say whose span it is.

Read from the body's bytes through message types of our own, in which an attribute is plain bytes: the objects that the
full parser makes for each attribute would cost more than all that is done with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from ...queries.protobuf_types import BYTES, INT32, MESSAGE, OPTIONAL, REPEATED, STRING, Field, message_types

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

_KEY, _VALUE, _INT = 0x0A, 0x12, 0x18  # tags of KeyValue and AnyValue
_LAST_OF_NUMBER = 127
_MAX_TEXTS, _LONGEST_TEXT = 8_192, 256
_MAX_SHORT, _SHORT = 65_536, 128


class SpanOutline:
    """One span; `facts` has the encoded attributes that were asked for, by key."""

    __slots__ = ("facts", "failed", "parent", "place", "scope", "span_id", "suspect", "trace_id")

    def __init__(self, span: Any, place: tuple[int, int, int], scope: str, facts: dict[str, bytes]) -> None:
        self.trace_id: bytes = span.trace_id
        self.span_id: bytes = span.span_id
        self.parent: bytes = span.parent_span_id
        self.failed: bool = span.status.code == 2
        self.place, self.scope, self.facts = place, scope, facts
        self.suspect = False
        """Whether a dialect may have something to change."""

    def of(self, request: ExportTraceServiceRequest) -> Span:
        """The span itself, in the request that the outline was read from."""
        group, scope, index = self.place
        return request.resource_spans[group].scope_spans[scope].spans[index]


class Reader:
    """Reads outlines with the attributes in `wanted`. Spans of scopes that begin with `ours` are never suspect;
    `suspicious` gives for a key what tells whether its attribute is foreign.
    """

    def __init__(self, wanted: frozenset[str], ours: str, suspicious: Suspicious) -> None:
        self._ours, self._keys = ours, _Keys(wanted, suspicious)
        # Most attributes are short and come again. From several threads: what two find out at once is the same.
        self._short: dict[bytes, Seen | None] = {}

    def read(self, body: bytes) -> Iterator[SpanOutline]:
        """The spans of an encoded request, in order. Raises DecodeError."""
        short, see = self._short, self._see
        for at_group, group in enumerate(_REQUEST.FromString(body).resource_spans):
            for at_scope, scope in enumerate(group.scope_spans):
                name = scope.scope.name
                is_ours = name.startswith(self._ours)
                for index, span in enumerate(scope.spans):
                    facts: dict[str, bytes] = {}
                    suspect = False
                    for raw in span.attributes[:]:
                        known = short.get(raw, _UNSEEN) if len(raw) < _SHORT else see(raw)
                        if known is None:
                            continue
                        if known is _UNSEEN:
                            known = short[raw] = see(raw)
                            if known is None:
                                continue
                        key, encoded, is_wanted, is_suspect = known
                        if is_wanted:
                            facts[key] = encoded
                        suspect = suspect or is_suspect
                    outline = SpanOutline(span, (at_group, at_scope, index), name, facts)
                    if not is_ours:
                        outline.suspect = suspect or outline.failed or bool(span.events)
                    yield outline
        if len(short) > _MAX_SHORT:
            short.clear()

    def _see(self, raw: bytes) -> Seen | None:
        """What an encoded attribute means; None for nearly all of them."""
        known = self._keys[raw[: raw[1] + 2] if len(raw) > 1 else raw]
        if known is _UNUSUAL:
            raw, known = _usual(raw, self._keys)
        if known is None:
            return None
        key, is_wanted, suspicious = known
        return key, raw, is_wanted, suspicious is not None and suspicious(raw)


Suspicious = Callable[[str], "Callable[[bytes], bool] | None"]
Known = tuple[str, bool, "Callable[[bytes], bool] | None"]
_UNUSUAL: Known = ("", False, None)
Seen = tuple[str, bytes, bool, bool]
"""Key, the attribute as usually encoded, whether it is wanted, and whether a dialect may have something to change."""
_UNSEEN: Seen = ("", b"", False, False)


class _Keys(dict[bytes, "Known | None"]):
    """What an encoded key means, remembered: None for nearly all of them, _UNUSUAL where it is not encoded as usual."""

    def __init__(self, wanted: frozenset[str], suspicious: Suspicious) -> None:
        super().__init__()
        self._wanted, self._suspicious = wanted, suspicious

    def __missing__(self, encoded: bytes) -> Known | None:
        if len(encoded) < 2 or encoded[0] != _KEY or encoded[1] > 127 or len(encoded) != encoded[1] + 2:
            return _UNUSUAL
        known = self.meaning(encoded[2:].decode(errors="replace"))
        if len(self) < 4096:  # somebody's keys may be numbered without end
            self[encoded] = known
        return known

    def meaning(self, key: str) -> Known | None:
        """What a key means, None for nothing."""
        is_wanted, suspicious = key in self._wanted, self._suspicious(key)
        return (key, is_wanted, suspicious) if is_wanted or suspicious is not None else None


def _usual(raw: bytes, keys: _Keys) -> tuple[bytes, Known | None]:
    """An attribute whose key is long, or does not come first, as any parser reads it."""
    pair = KeyValue.FromString(raw)
    return pair.SerializeToString(deterministic=True), keys.meaning(pair.key)


def value_of(raw: bytes) -> AnyValue:
    """The value of an encoded attribute."""
    return KeyValue.FromString(raw).value


_texts: dict[bytes, str] = {}


def text_of(raw: bytes | None) -> str:
    """The text of an encoded attribute, "" for none and for what is no text. Names of models repeat, so they are remembered."""
    if raw is None:
        return ""
    text = _texts.get(raw)
    if text is None:
        text = value_of(raw).string_value
        if len(raw) <= _LONGEST_TEXT:
            if len(_texts) >= _MAX_TEXTS:
                _texts.clear()
            _texts[raw] = text
    return text


def is_text(raw: bytes) -> bool:
    """Whether an encoded attribute has a text as its value."""
    size = len(raw)
    at = raw[1] + 2 if size > 1 else 0
    if at >= size or raw[at] != _VALUE:
        return False
    at += 1
    while at < size and raw[at] > _LAST_OF_NUMBER:
        at += 1
    return at + 1 < size and raw[at + 1] == _KEY  # the tag of a text, too


def is_plain_count(raw: bytes) -> bool:
    """Whether an encoded attribute is surely a whole number that is not negative; others may be one, too."""
    at = raw[1] + 2 if len(raw) > 1 else 0
    # Its value is as long as what follows, an int, and no ten bytes long, as negative ones are.
    return len(raw) - at > 3 and raw[at] == _VALUE and raw[at + 1] == len(raw) - at - 2 < 11 and raw[at + 2] == _INT


_MESSAGES: dict[str, tuple[Field, ...]] = {
    "Request": (("resource_spans", 1, REPEATED, MESSAGE, "Group"),),
    "Group": (("scope_spans", 2, REPEATED, MESSAGE, "Scope"),),
    "Scope": (("scope", 1, OPTIONAL, MESSAGE, "Name"), ("spans", 2, REPEATED, MESSAGE, "Span")),
    "Name": (("name", 1, OPTIONAL, STRING, ""),),
    "Status": (("code", 3, OPTIONAL, INT32, ""),),
    "Span": (
        ("trace_id", 1, OPTIONAL, BYTES, ""),
        ("span_id", 2, OPTIONAL, BYTES, ""),
        ("parent_span_id", 4, OPTIONAL, BYTES, ""),
        ("attributes", 9, REPEATED, BYTES, ""),
        ("events", 11, REPEATED, BYTES, ""),
        ("status", 15, OPTIONAL, MESSAGE, "Status"),
    ),
}
_REQUEST = message_types("evalspan.outline", _MESSAGES)["Request"]
