"""Which services fill text into their system prompts, and where: read and written for the learner in the collector."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .store.protocol import StoreClient

_PIECE = re.compile(r"[^\n.!?:]*[\n.!?:]+|[^\n.!?:]+")
# The text that the view otlp_to_spans hashes, from a stored span.
_INSTRUCTIONS = (
    "arrayStringConcat(arrayFilter(t -> t != '', arrayMap(part -> JSONExtractString(part, 'content'),"
    " if(attributes['gen_ai.system_instructions'] != '', JSONExtractArrayRaw(attributes['gen_ai.system_instructions']),"
    " arrayFlatten(arrayMap(m -> JSONExtractArrayRaw(m, 'parts'), arrayFilter(m -> JSONExtractString(m, 'role')"
    " IN ('system', 'developer'), JSONExtractArrayRaw(input))))))), '\\n')"
)


def pieces_of(text: str) -> list[str]:
    """The pieces of a prompt that are told fixed or filled in: lines, and sentences of lines; together they are the text."""
    return _PIECE.findall(text)


def unstable_services(store: StoreClient, since_s: int, least: int) -> list[dict[str, Any]]:
    """Services (`project`, `service`) whose newest calls have at least `least` fingerprints, most of them of one call."""
    return store.query(
        "SELECT toString(project) AS project, toString(service) AS service, uniqExact(system_hash) AS prompts, count() AS calls"
        " FROM spans WHERE system_hash != '' AND start_time >= now() - toIntervalSecond({since:UInt32})"
        " GROUP BY project, service HAVING prompts >= {least:UInt32} AND 3 * prompts >= calls LIMIT 100",
        {"since": since_s, "least": least},
    ).dicts()


def newest_prompts(store: StoreClient, project: str, service: str, since_s: int, count: int) -> list[str]:
    """The different system prompts of a service's newest calls."""
    rows = store.query(
        f"SELECT {_INSTRUCTIONS} AS instructions FROM spans"  # noqa: S608 - a constant of this module
        " WHERE project = {project:String} AND service = {service:String} AND system_hash != ''"
        " AND start_time >= now() - toIntervalSecond({since:UInt32}) ORDER BY start_time DESC LIMIT {count:UInt32}",
        {"project": project, "service": service, "since": since_s, "count": count},
    ).rows
    return list(dict.fromkeys(str(text) for (text,) in rows if text))


def piece_hashes(store: StoreClient, pieces: Sequence[str]) -> dict[str, int]:
    """ClickHouse's sipHash64 of each piece."""
    rows = store.query(
        "SELECT piece, sipHash64(piece) FROM (SELECT arrayJoin({pieces:Array(String)}) AS piece)",
        {"pieces": list(pieces)},
    ).rows
    return {piece: int(number) for piece, number in rows}


def known_slots(store: StoreClient, project: str, service: str) -> set[tuple[int, int]]:
    """The slots of a service, as hashes of the pieces before and after."""
    rows = store.query(
        "SELECT before, after FROM prompt_slots WHERE project = {project:String} AND service = {service:String}",
        {"project": project, "service": service},
    ).rows
    return {(int(before), int(after)) for before, after in rows}


def save_slots(store: StoreClient, project: str, service: str, slots: Sequence[tuple[int, int]], template: str) -> None:
    """Keeps slots; `template` is the text without what is filled in, whose fingerprint is no edit."""
    (found,) = store.query(
        "SELECT leftPad(lower(hex(sipHash64(unhex({text:String})))), 16, '0')", {"text": template.encode().hex()}
    ).rows
    store.insert(
        "prompt_slots",
        [
            {"project": project, "service": service, "before": before, "after": after, "template_hash": found[0]}
            for before, after in slots
        ],
    )
