"""Gives stored spans the messages that came beside them: each span is written again, and its newest row counts."""

from __future__ import annotations

import msgspec

from .database import Store

_HASH = "leftPad(lower(hex(sipHash64(new_system))), 16, '0')"

# A span's row is immutable, but rows with the same key replace each other, the last one inserted wins.
_REWRITE = f"""
INSERT INTO spans
WITH
    indexOf({{span_ids:Array(String)}}, span_id) AS place,
    {{inputs:Array(String)}}[place] AS new_input,
    {{outputs:Array(String)}}[place] AS new_output,
    {{systems:Array(String)}}[place] AS new_system
SELECT * REPLACE (
    if(input = '', new_input, input) AS input,
    if(output = '', new_output, output) AS output,
    if(input = '', leftUTF8(new_input, 200), input_preview) AS input_preview,
    if(output = '', leftUTF8(new_output, 200), output_preview) AS output_preview,
    if(system_hash = '' AND new_system != '', {_HASH}, system_hash) AS system_hash,
    now64(3) AS inserted_at)
FROM spans FINAL
WHERE project = {{project:String}} AND trace_id IN {{trace_ids:Array(String)}} AND span_id IN {{span_ids:Array(String)}}
"""  # noqa: S608 - a constant of this module


class Content(msgspec.Struct, frozen=True):
    """The messages of one span as JSON texts; `system` is the text of its system messages."""

    trace_id: str
    span_id: str
    input: str
    output: str
    system: str


def add_contents(store: Store, project: str, contents: list[Content]) -> None:
    """Fills the empty `input` and `output` of these spans; a span that is not stored stays unknown."""
    store.command(
        _REWRITE,
        {
            "project": project,
            "trace_ids": sorted({content.trace_id for content in contents}),
            "span_ids": [content.span_id for content in contents],
            "inputs": [content.input for content in contents],
            "outputs": [content.output for content in contents],
            "systems": [content.system for content in contents],
        },
    )
