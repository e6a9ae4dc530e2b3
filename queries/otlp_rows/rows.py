"""The rows of `spans` that records become, column by column, in the order of arrival."""

from __future__ import annotations

import re
import time
from array import array
from itertools import chain
from typing import Any, NamedTuple

from ...instrument import semconv
from . import names
from .calls import MOST, Call, call_of, kind_of, price_of, provider_of, reason_of, text
from .instructions import leading_instructions, sent_instructions
from .messages import Event, Link
from .native import Column, maps, offsets, sparse_numbers, sparse_texts
from .prices import ALWAYS, Price, Prices, Rates, few_dollars
from .shapes import Shape, body
from .values import EMPTY, Attribute, Unusual, attribute, native, plain

_LONGEST = 128
_TRACE_ID, _SPAN_ID = 16, 8
_NO_PARENT = (b"", bytes(_SPAN_ID))
_FAILED = 2
_THRESHOLD = re.compile(rb"ot=[^,]*\bth:([0-9a-f]{1,14})")
_WHOLE = 2**56
_SIGN, _AROUND = 2**63, 2**64

_TEXTS = ("parent_span_id", "trace_state", "status_message", *names.FIRST_FILLED, "unpriced_reason", "instructions")
_LABELS = (
    *("project", "service", "environment", "scope_name", "scope_version", "role", "operation", "provider"),
    *names.TAKEN_OVER.values(),
)
_NULLABLE = {
    "input_tokens": ("UInt32", "I"),
    "output_tokens": ("UInt32", "I"),
    "cached_tokens": ("UInt32", "I"),
    "reasoning_tokens": ("UInt32", "I"),
    "cost_usd": ("Float64", "d"),
    "reported_cost_usd": ("Float64", "d"),
    "computed_cost_usd": ("Float64", "d"),
    "ttft_s": ("Float32", "f"),
}
_FIXED = {"start": "q", "duration": "Q", "kind": "b", "status": "b", "received": "q", "weight": "d"}


class _Group(NamedTuple):
    """What all spans of a scope of a record share; Native strings."""

    columns: dict[str, bytes]
    received_ms: int
    keys: bytes
    values: bytes
    size: int


class _Labels(NamedTuple):
    """What follows from the labels of a span."""

    columns: dict[str, bytes]
    is_call: bool
    price: Price
    rate: Rates | None
    """The price when it is one row that always holds; empty when there is none."""
    reason: bytes
    """Why there is none."""


class _Event(NamedTuple):
    time: int
    name: bytes
    keys: list[bytes]
    texts: list[bytes]


class Rows:
    """The rows so far; a record is added whole or not at all."""

    def __init__(self, prices: Prices, known: dict[bytes, Attribute], shapes: dict[tuple[bytes, ...], Shape]) -> None:
        self._prices, self._known, self._shapes = prices, known, shapes
        self.count = 0
        self.prompts: set[tuple[str, str]] = set()
        """Project and service of the spans that have instructions."""
        self._ids: list[bytes] = []
        self._span_ids: list[bytes] = []
        self._names: list[bytes] = []
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []
        self._rows: list[_Labels] = []
        self._labels: dict[Any, _Labels] = {}
        self._fixed: dict[str, Any] = {name: array(code) for name, code in _FIXED.items()}
        self._texts: dict[str, dict[int, bytes]] = {name: {} for name in _TEXTS}
        self._nullable: dict[str, dict[int, float]] = {name: {} for name in _NULLABLE}
        self._keys: list[bytes] = []
        self._values: list[bytes] = []
        self._sizes: list[int] = []
        self._groups: list[tuple[_Group, int]] = []
        self._events: dict[int, list[_Event]] = {}
        self._links: dict[int, list[tuple[bytes, bytes]]] = {}

    def add(self, request: Any) -> None:
        """Adds the spans of a record. Raises Unusual, and then none of them is added."""
        before = self.count, len(self._keys), len(self._groups)
        try:
            for resource_spans in request.resource_spans:
                self._add_group(request, resource_spans)
        except BaseException:
            self._take_back(*before)
            raise

    def _add_group(self, request: Any, resource_spans: Any) -> None:
        resource = [self._attribute(raw) for raw in resource_spans.resource.attributes[:]]
        said: dict[bytes, bytes] = {}
        for one in resource:
            said.setdefault(plain(one.key), one.text)
        environment = said.get(semconv.ENVIRONMENT.encode(), EMPTY)
        if environment == EMPTY:
            environment = said.get(names.ENVIRONMENT_BEFORE.encode(), EMPTY)
        shared = {
            "project": native(request.project or b"default"),
            "service": said.get(semconv.SERVICE_NAME.encode(), EMPTY),
            "environment": environment,
        }
        keys, values = b"".join([one.key for one in resource]), b"".join([one.text for one in resource])
        received_ms = request.received_ms or time.time_ns() // 1_000_000
        for scope_spans in resource_spans.scope_spans:
            scope = scope_spans.scope
            scoped = {**shared, "scope_name": native(scope.name), "scope_version": native(scope.version)}
            group = _Group(scoped, received_ms, keys, values, len(resource))
            shared_key = tuple(scoped.values())
            spans = scope_spans.spans
            self._groups.append((group, len(spans)))
            for span in spans:
                self._add_span(span, group, shared_key)
                self.count += 1

    def _add_span(self, span: Any, group: _Group, shared: tuple[bytes, ...]) -> None:
        known, read = self._known, self._attribute
        found = [(known.get(raw) if len(raw) < _LONGEST else None) or read(raw) for raw in span.attributes[:]]
        keys = [one[0] for one in found]
        texts = [one[1] for one in found]
        order = tuple(keys)
        shape = self._shapes.get(order)
        if shape is None:
            shape = self._shapes[order] = Shape(order)
        failed = self._add_itself(span, group)
        sent_input = None if shape.input_tokens is None else found[shape.input_tokens].number
        sent_output = None if shape.output_tokens is None else found[shape.output_tokens].number
        used = (sent_input is not None and sent_input >= 0) or (sent_output is not None and sent_output >= 0)
        combination = (shared, order, failed, used, shape.labels_of(texts))
        labels = self._labels.get(combination)
        if labels is None:
            labels = self._labels[combination] = self._label(group, shape.labelled(texts), failed=failed, used=used)
        self._rows.append(labels)
        if labels.is_call:
            if shape.is_simple and labels.rate is not None and used:
                self._add_call(shape, found, labels, sent_input, sent_output)
            else:
                self._add_any_call(shape.attributes(found), labels, span.start, used=used, failed=failed)
        self._add_others(shape, found, span)
        self._add_bodies(shape, keys, texts, group)

    def _attribute(self, raw: bytes) -> Attribute:
        one = self._known.get(raw) if len(raw) < _LONGEST else None
        if one is None:
            one = attribute(raw, names.NUMBER_KEYS)
            if len(raw) < _LONGEST:
                self._known[raw] = one
        return one

    def _add_itself(self, span: Any, group: _Group) -> bool:
        """What the span says without attributes; whether it failed."""
        trace_id, span_id = span.trace_id, span.span_id
        if len(trace_id) != _TRACE_ID or len(span_id) != _SPAN_ID:
            raise Unusual("ids of another length")
        self._ids.append(trace_id)
        self._span_ids.append(span_id)
        start, end, fixed, status = span.start, span.end, self._fixed, span.status
        fixed["start"].append(start if start < _SIGN else start - _AROUND)
        fixed["duration"].append(end - start if end > start else 0)
        kind, code = span.kind, status.code
        fixed["kind"].append(kind if 0 <= kind <= 5 else 0)
        fixed["status"].append(code if 0 <= code <= _FAILED else 0)
        fixed["received"].append(group.received_ms)
        self._names.append(native(span.name))
        if (parent := span.parent_span_id) not in _NO_PARENT:
            self._texts["parent_span_id"][self.count] = native(parent.hex().encode())
        if message := status.message:
            self._texts["status_message"][self.count] = native(message)
        return bool(code == _FAILED)

    def _label(self, group: _Group, found: dict[str, Attribute], *, failed: bool, used: bool) -> _Labels:
        kind, provider = kind_of(found, has_usage=used, failed=failed), provider_of(found)
        columns = {
            **group.columns,
            "role": kind.role,
            "operation": kind.operation,
            "provider": provider,
            **{column: text(found, name) for name, column in names.TAKEN_OVER.items()},
        }
        if columns["environment"] == EMPTY:
            columns["environment"] = text(found, semconv.ENVIRONMENT)
        price = price_of(found, self._prices, provider)
        rate: Rates | None = price.rates[0] if price.rates else []
        if rate and (len(price.rates) > 1 or rate[:4] != ALWAYS):
            rate = None
        has_model = columns["request_model"] != EMPTY or columns["response_model"] != EMPTY
        reason = reason_of(price, has_rate=bool(rate), used=True, failed=failed, has_model=has_model)
        return _Labels(columns, kind.is_call, price, rate, reason)

    def _add_call(
        self, shape: Shape, found: list[Attribute], labels: _Labels, sent_input: float | None, sent_output: float | None
    ) -> None:
        """A call of which tokens are known and little else; at a price that does not depend on them."""
        row, columns = self.count, self._nullable
        cached = _count(found, shape.cached)
        if sent_input is not None and sent_input >= 0:
            tokens = min(int(sent_input), MOST)
            columns["input_tokens"][row] = tokens = tokens if cached <= tokens else min(tokens + cached, MOST)
        else:
            tokens = 0
        paid_output = 0
        if sent_output is not None and sent_output >= 0:
            columns["output_tokens"][row] = paid_output = min(int(sent_output), MOST)
        columns["cached_tokens"][row] = cached
        columns["reasoning_tokens"][row] = _count(found, shape.reasoning)
        cost = few_dollars(labels.rate, tokens, cached, paid_output) if labels.rate else None
        if cost is None:
            self._texts["unpriced_reason"][row] = labels.reason
        else:
            columns["cost_usd"][row] = columns["computed_cost_usd"][row] = cost

    def _add_any_call(
        self, found: dict[str, Attribute], labels: _Labels, started: int, *, used: bool, failed: bool
    ) -> None:
        row = self.count
        call = call_of(found, labels.price, started, used=used, failed=failed)
        for column, value in zip(Call._fields, call, strict=True):
            if column == "unpriced_reason":
                if value != EMPTY:
                    self._texts[column][row] = value  # type: ignore[assignment]
            elif value is not None:
                self._nullable[column][row] = value  # type: ignore[assignment]

    def _add_others(self, shape: Shape, found: list[Attribute], span: Any) -> None:
        """What most spans do not have."""
        row = self.count
        for column, places in shape.ids:
            for place in places:
                if (value := found[place].text) != EMPTY:
                    self._texts[column][row] = value
                    break
        if shape.ttft is not None and (ttft := found[shape.ttft].number) is not None:
            self._nullable["ttft_s"][row] = ttft
        state = span.trace_state
        if state:
            self._texts["trace_state"][row] = native(state)
        written = None if shape.weight is None else found[shape.weight].number
        self._fixed["weight"].append(written if written is not None and written > 0 else _head_weight(state))
        if events := span.events[:]:
            self._events[row] = [self._event(raw) for raw in events]
        if links := span.links[:]:
            self._links[row] = [_link(raw) for raw in links]

    def _add_bodies(self, shape: Shape, keys: list[bytes], texts: list[bytes], group: _Group) -> None:
        """Input and output, the attributes without them, and the instructions. Changes both lists."""
        sent_in, sent_out = body(shape.bodies_in, texts), body(shape.bodies_out, texts)
        sent = EMPTY if sent_in < 0 else texts[sent_in]
        self._inputs.append(sent)
        self._outputs.append(EMPTY if sent_out < 0 else texts[sent_out])
        instructions = EMPTY if shape.instructions is None else texts[shape.instructions]
        instructions = leading_instructions(sent) if instructions == EMPTY else sent_instructions(instructions)
        if instructions != EMPTY:
            self._texts["instructions"][self.count] = instructions
            self.prompts.add((plain(group.columns["project"]).decode(), plain(group.columns["service"]).decode()))
        if sent_in == shape.query:  # a query stays among the attributes, too
            sent_in = -1
        for place in (sent_in, sent_out) if sent_in > sent_out else (sent_out, sent_in):
            if place >= 0:
                del keys[place], texts[place]
        self._keys += keys
        self._values += texts
        self._sizes.append(len(keys))

    def _event(self, raw: bytes) -> _Event:
        event = Event.FromString(raw)
        found = [self._attribute(one) for one in event.attributes[:]]
        return _Event(event.time, native(event.name), [one.key for one in found], [one.text for one in found])

    def _take_back(self, count: int, attributes: int, groups: int) -> None:
        """Removes the rows from `count` on, of which the last one may be there in part."""
        for by_row in (self._ids, self._span_ids, self._names, self._inputs, self._outputs):
            del by_row[count:]
        del self._rows[count:], self._sizes[count:]
        del self._keys[attributes:], self._values[attributes:], self._groups[groups:]
        for column in self._fixed.values():
            del column[count:]
        sparse: tuple[dict[int, Any], ...] = (
            *self._texts.values(),
            *self._nullable.values(),
            self._events,
            self._links,
        )
        for found in sparse:
            for row in [row for row in found if row >= count]:
                del found[row]
        self.count = count

    def columns(self) -> list[Column]:
        """The columns of all rows; one in which nothing differs from the table's default may be left out."""
        rows, fixed = self.count, self._fixed
        columns = [
            Column("trace_id", f"FixedString({2 * _TRACE_ID})", (b"".join(self._ids).hex().encode(),)),
            Column("span_id", f"FixedString({2 * _SPAN_ID})", (b"".join(self._span_ids).hex().encode(),)),
            Column("start_time", "DateTime64(9, 'UTC')", (fixed["start"].tobytes(),)),
            Column("duration_ns", "UInt64", (fixed["duration"].tobytes(),)),
            Column("kind", "Int8", (fixed["kind"].tobytes(),)),
            Column("status", "Int8", (fixed["status"].tobytes(),)),
            Column("ingested_at", "DateTime64(3, 'UTC')", (fixed["received"].tobytes(),)),
            Column("sample_weight", "Float64", (fixed["weight"].tobytes(),)),
        ]
        whole = {"name": self._names, "input": self._inputs, "output": self._outputs}
        columns += [Column(name, "String", (b"".join(found),)) for name, found in whole.items()]
        for name in _LABELS:
            if any(one.columns[name] != EMPTY for one in self._labels.values()):
                columns.append(Column(name, "String", (b"".join([one.columns[name] for one in self._rows]),)))
        columns += [sparse_texts(name, rows, found) for name, found in self._texts.items() if found]
        columns += [
            sparse_numbers(name, *_NULLABLE[name], rows, found) for name, found in self._nullable.items() if found
        ]
        columns.append(maps("attributes", self._sizes, self._keys, self._values))
        columns.append(self._resources())
        if self._events:
            columns.append(self._event_column())
        if self._links:
            columns.append(self._link_column())
        return columns

    def _resources(self) -> Column:
        """The same attributes for all spans of a group."""
        sizes = [size for group, spans in self._groups for size in [group.size] * spans]
        keys = [group.keys * spans for group, spans in self._groups]
        return maps("resource", sizes, keys, [group.values * spans for group, spans in self._groups])

    def _event_column(self) -> Column:
        events = [self._events.get(row, ()) for row in range(self.count)]
        flat = [one for of_span in events for one in of_span]
        attributes = maps(
            "", [len(one.keys) for one in flat], chain(*(one.keys for one in flat)), chain(*(one.texts for one in flat))
        )
        times = array("Q", (one.time for one in flat)).tobytes()
        kind = f"Array(Tuple(time DateTime64(9, 'UTC'), name String, attributes {attributes.kind}))"
        pieces = (offsets(map(len, events)), times, *(one.name for one in flat), *attributes.pieces)
        return Column("events", kind, pieces)

    def _link_column(self) -> Column:
        links = [self._links.get(row, ()) for row in range(self.count)]
        flat = [one for of_span in links for one in of_span]
        pieces = (offsets(map(len, links)), *(one[0] for one in flat), *(one[1] for one in flat))
        return Column("links", "Array(Tuple(trace_id String, span_id String))", pieces)


def _count(found: list[Attribute], place: int | None) -> int:
    number = None if place is None else found[place].number
    return 0 if number is None or number <= 0 else min(int(number), MOST)


def _head_weight(state: bytes) -> float:
    """What the head's sampler says in the trace state; 1 when it says nothing."""
    sent = _THRESHOLD.search(state) if state else None
    if sent is None:
        return 1.0
    rejected = float(int(sent.group(1).ljust(14, b"0"), 16))
    return float(_WHOLE) / max(float(_WHOLE) - rejected, 1.0)


def _link(raw: bytes) -> tuple[bytes, bytes]:
    link = Link.FromString(raw)
    return native(link.trace_id.hex().encode()), native(link.span_id.hex().encode())
