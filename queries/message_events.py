"""Gives stored spans the messages that came beside them: each span is written again, and its newest row counts."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ..instrument import semconv
from .literals import literal
from .store.client import Store

# One statement's share: its spans' ids stand in its text, their rows are held in memory.
MAX_SPANS = 500
MAX_BYTES = 8 << 20

_HASH = "leftPad(lower(hex(sipHash64(c.system))), 16, '0')"
_OPEN = f"s.attributes['{semconv.CONTENT_DROPPED}'] != 'true'"  # the content policy holds for what came beside, too

# A span's row is immutable, but rows with the same key replace each other, the last one inserted wins.
_REWRITE = f"""
INSERT INTO {{spans}}
SELECT s.* REPLACE (
    if(s.input = '' AND {_OPEN}, c.input, s.input) AS input,
    if(s.output = '' AND {_OPEN}, c.output, s.output) AS output,
    if(s.input = '' AND {_OPEN}, leftUTF8(c.input, 200), s.input_preview) AS input_preview,
    if(s.output = '' AND {_OPEN}, leftUTF8(c.output, 200), s.output_preview) AS output_preview,
    if(s.system_hash = '' AND c.system != '', {_HASH}, s.system_hash) AS system_hash,
    now64(3) AS inserted_at)
FROM (
    SELECT * FROM {{spans}} FINAL
    WHERE project = {{project}} AND trace_id IN ({{trace_ids}}) AND span_id IN ({{span_ids}})
) AS s
INNER JOIN {{rows}} AS c ON c.trace_id = s.trace_id AND c.span_id = s.span_id
"""  # noqa: S608 - a constant of this module


class SpanMessages(msgspec.Struct, frozen=True):
    """The messages of one span as JSON texts; `system` is the text of its system messages."""

    trace_id: str
    span_id: str
    input: str
    output: str
    system: str


def add_messages(store: Store, project: str, found: list[SpanMessages]) -> None:
    """
    Fills the empty `input` and `output` of these spans; a span that is not stored stays unknown, and one whose content
    the sampler dropped stays without.

    Raises what `Store.insert_from` raises.
    """
    structure = ", ".join(f"{name} String" for name in SpanMessages.__struct_fields__)
    for some in _shares(found):
        statement = _REWRITE.format(
            project=literal(project),
            trace_ids=", ".join(literal(trace_id) for trace_id in sorted({content.trace_id for content in some})),
            span_ids=", ".join(literal(content.span_id) for content in some),
            rows="{rows}",
            spans="{spans}",
        )
        store.insert_from([msgspec.structs.asdict(content) for content in some], structure, statement)


def _shares(found: list[SpanMessages]) -> Iterator[list[SpanMessages]]:
    share: list[SpanMessages] = []
    size = 0
    for content in found:
        length = len(content.input) + len(content.output) + len(content.system)
        if share and (len(share) == MAX_SPANS or size + length > MAX_BYTES):
            yield share
            share, size = [], 0
        share.append(content)
        size += length
    if share:
        yield share
