"""Which services fill text into their system prompts, and where: read and written for the learner in the collector."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .store.protocol import StoreClient

# Lines and sentences, also those of Chinese and Japanese, which stand without spaces.
PIECE = r"[^\n.!?:。！？；：]*[\n.!?:。！？；：]+|[^\n.!?:。！？；：]+"
_PIECE = re.compile(PIECE)
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
    """Services (`project`, `service`) of whose newest calls' fingerprints at least `least` are of one call each."""
    return store.query(
        "SELECT project, service, countIf(calls = 1) AS prompts FROM (SELECT toString(project) AS project, toString(service) AS service,"
        " system_hash, count() AS calls FROM spans WHERE system_hash != '' AND start_time >= now() - toIntervalSecond({since:UInt32})"
        " GROUP BY project, service, system_hash) GROUP BY project, service HAVING prompts >= {least:UInt32} LIMIT 100",
        {"since": since_s, "least": least},
    ).dicts()


def newest_prompts(store: StoreClient, project: str, service: str, since_s: int, count: int) -> list[tuple[str, str]]:
    """The different system prompts of a service's newest calls, each with the name that the application gave it, if any."""
    rows = store.query(
        f"SELECT toString(prompt_name) AS name, {_INSTRUCTIONS} AS instructions FROM spans"  # noqa: S608 - a constant of this module
        " WHERE project = {project:String} AND service = {service:String} AND system_hash != ''"
        " AND start_time >= now() - toIntervalSecond({since:UInt32}) ORDER BY start_time DESC"
        " LIMIT 1 BY prompt_name, system_hash LIMIT {count:UInt32}",
        {"project": project, "service": service, "since": since_s, "count": count},
    ).rows
    return list(dict.fromkeys((str(name), str(text)) for name, text in rows if text))


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


def save_slots(
    store: StoreClient, project: str, service: str, slots: Sequence[tuple[int, int]], templates: Sequence[str]
) -> None:
    """Keeps slots; `templates` are the texts without what is filled in, whose fingerprints are no edits."""
    found = store.query(
        "SELECT leftPad(lower(hex(sipHash64(unhex(arrayJoin({texts:Array(String)}))))), 16, '0')",
        {"texts": [text.encode().hex() for text in templates]},
    ).rows
    hashes = " ".join(sorted(str(one) for (one,) in found))
    store.insert(
        "prompt_slots",
        [
            {"project": project, "service": service, "before": before, "after": after, "template_hash": hashes}
            for before, after in slots
        ],
    )
