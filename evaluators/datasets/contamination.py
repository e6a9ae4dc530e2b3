"""Finds evaluation cases that stand in a prompt, a judge's prompt or training data: such a case measures memory.

Exact, after normalisation, or nearly (MinHash, then the Jaccard index of the two texts).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from ...errors import DatasetError, UsageError
from ...queries.messages import question_of
from ...queries.near_duplicates import NearDuplicates, normalize
from ...queries.text_file import read_bytes
from .example import Example
from .records import decode_json, is_table, read_records

MIN_SUBSTRING = 15  # normalised characters; a shorter input occurs in any long text, so only a whole segment counts
SPEAKERS = ("q", "question", "user", "human", "customer", "input")


class Overlap(msgspec.Struct, frozen=True):
    """One case found in one source."""

    example_id: str
    source: str
    kind: Literal["exact", "normalized", "near"]
    likeness: float
    excerpt: str


class Source(msgspec.Struct, frozen=True):
    """A text that cases must not occur in."""

    name: str
    text: str
    segments: list[str]


def find_overlaps(examples: Sequence[Example], sources: Iterable[Source]) -> list[Overlap]:
    """The first overlap of every example with every source, in the examples' order."""
    found: list[Overlap] = []
    for source in sources:
        plain = f" {normalize(source.text)} "
        whole = {normalize(segment) for segment in source.segments}
        index = NearDuplicates()
        for segment in dict.fromkeys(source.segments):
            index.add(segment, segment)
        for example in examples:
            overlap = _overlap(example, source, plain, whole, index)
            if overlap is not None:
                found.append(overlap)
    return found


def read_source(path: str) -> Source:
    """A prompt or training file: text, or JSON and JSONL whose strings count each. Raises DatasetError."""
    place = Path(path)
    try:
        if place.suffix == ".json":
            return source_of(path, "\n".join(_strings(decode_json(read_bytes(place), path))))
        if place.suffix == ".jsonl" or is_table(place):
            records = read_records(place)
            return source_of(path, "\n".join(string for one in records for string in _strings(one.values)))
        text = read_bytes(place).decode()
    except UsageError as error:
        raise DatasetError(f"cannot read {path} for the contamination check: {error}", hint=error.hint) from error
    return source_of(path, text)


def source_of(name: str, text: str) -> Source:
    """A source from a text: its lines and paragraphs are what a case could have been copied to."""
    lines = [_without_speaker(line) for line in text.splitlines()]
    paragraphs = [" ".join(block.split()) for block in text.split("\n\n")]
    return Source(name, text, [segment for segment in dict.fromkeys([*lines, *paragraphs]) if segment.strip()])


def judge_prompts(suite: Iterable[Any]) -> Iterator[Source]:
    """The prompts of the suite's judges, the example responses in them included, as each of them prints it."""
    for evaluator in suite:
        printed = getattr(evaluator, "printed_prompt", None)
        if callable(printed):
            yield source_of(f"the prompt of {evaluator.name}", str(printed()))


def _overlap(example: Example, source: Source, plain: str, whole: set[str], index: NearDuplicates) -> Overlap | None:
    text = question_of(example.input).strip()
    wanted = normalize(text)
    if not wanted:
        return None
    if len(wanted) >= MIN_SUBSTRING and text in source.text:
        return Overlap(example.id, source.name, "exact", 1.0, text[:200])
    if wanted in whole or (len(wanted) >= MIN_SUBSTRING and f" {wanted} " in plain):
        return Overlap(example.id, source.name, "normalized", 1.0, text[:200])
    near = index.find(text) if len(wanted) >= MIN_SUBSTRING else None
    return Overlap(example.id, source.name, "near", round(near[1], 3), near[0][:200]) if near else None


def _without_speaker(line: str) -> str:
    speaker, colon, rest = line.strip().partition(":")
    return rest.strip() if colon and speaker.strip(" *#->").casefold() in SPEAKERS else line.strip()


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _strings(item)]
    return []
