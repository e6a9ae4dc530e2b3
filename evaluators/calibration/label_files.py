"""Reads human labels from files, and puts them beside scored outputs for `evalspan calibrate --labels`."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ...errors import UsageError
from ..datasets.record_file import Record
from ..datasets.records import read_records
from ..scoring.outputs import Scored
from .calibrate import Pair

_WORDS = {"passed": True, "failed": False, "correct": True, "incorrect": False}
_WORDS |= {"pass": True, "good": True, "supported": True, "true": True, "yes": True, "reasonable_inference": True}
_WORDS |= {"fail": False, "bad": False, "unsupported": False, "false": False, "no": False}
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
HINT = "a label has id, label (a number, true/false or pass/fail), and score or passed"


def read_labels(path: Path, good_from: float | None = None, columns: Mapping[str, str] | None = None) -> list[Pair]:
    """The labels of a file (JSONL or a table): id, label (number, true/false, pass/fail), score and/or passed, rater, at.

    A record with `claims` is as many pairs as it has claims, each {"label": ..., "passed": ...} with statuses such as
    SUPPORTED and UNSUPPORTED; NOT_CHECKABLE ones are left out. `at` without a zone is UTC. `columns` maps these fields
    to the file's own columns. Raises UsageError naming the place and the field that cannot be read.
    """
    pairs: list[Pair] = []
    for number, record in enumerate(read_records(path, columns), start=1):
        judged = [part for part in _parts(record, str(number)) if not _is_skipped(part)]
        pairs += [_pair(part, record.place, str(number), good_from) for part in judged]
    return pairs


def read_labels_by_id(path: Path, columns: Mapping[str, str] | None = None) -> dict[str, list[dict[str, Any]]]:
    """The labels of a file (`id`, `label`, and any of `rater`, `at`) by id. Raises UsageError naming a bad line."""
    labels: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in read_records(path, columns):
        missing = [name for name in ("id", "label") if record.values.get(name) is None]
        if missing:
            hint = 'write lines like {"id": "1", "label": true}'
            raise UsageError(f"{record.place}: not a label: {missing[0]} is missing", hint=hint)
        label_value(record.values["label"], record.place)
        labels[str(record.values["id"])].append(record.values)
    return labels


def write_labelled(scored: Iterable[Scored], labels: dict[str, list[dict[str, Any]]], beside: Path) -> list[Path]:
    """Writes `NAME.EVALUATOR.labelled.jsonl` next to the results; returns the files.

    An output without a score is kept, without `score` and `passed`: calibration counts it. Raises UsageError when no
    label belongs to an output.
    """
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in scored:
        for label in labels.get(one.id, ()):
            judged = {"score": one.outcome.value, "passed": one.outcome.passed}
            groups[one.outcome.name].append(
                {**label, **{key: value for key, value in judged.items() if value is not None}}
            )
    if not groups:
        raise UsageError("no label has the id of a scored output", hint="labels and outputs are joined by `id`")
    files = []
    for name, records in groups.items():
        target = beside.with_suffix(f".{name}.labelled.jsonl")
        target.write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in records))
        files.append(target)
    return files


def label_value(raw: Any, place: str) -> tuple[float, bool | None]:
    """A label as a number, and the verdict that it is where it is one. Raises UsageError for anything else."""
    verdict = verdict_of(raw, place, "label")
    if verdict is not None:
        return float(verdict), verdict
    number = number_of(raw, place, "label")
    if number is None:
        raise UsageError(f"{place}: not a label: label is missing", hint=HINT)
    return number, None


def verdict_of(raw: Any, place: str, field: str) -> bool | None:
    """A verdict in any of the usual spellings; None for a number or nothing. Raises UsageError for other words."""
    if raw is None or isinstance(raw, bool):
        return raw
    if isinstance(raw, int | float):
        return None
    word = str(raw).strip().casefold()
    if word in _WORDS:
        return _WORDS[word]
    if isinstance(raw, str) and (not word or _NUMBER.fullmatch(word)):
        return None
    raise UsageError(f"{place}: {field} {raw!r} is neither pass nor fail", hint=HINT)


def number_of(raw: Any, place: str, field: str) -> float | None:
    """A finite number, also as text with a decimal point; None for nothing. Raises UsageError for anything else."""
    if raw is None or (isinstance(raw, str) and not raw.strip()):
        return None
    if isinstance(raw, str) and _NUMBER.fullmatch(raw.strip()):
        raw = float(raw)
    if isinstance(raw, str | list | dict):
        raise UsageError(f"{place}: {field} {raw!r} is not a number", hint="write it with a decimal point, as 0.9")
    number = float(raw)
    if not math.isfinite(number):
        raise UsageError(f"{place}: {field} {raw!r} is not a finite number", hint="leave it out where there is none")
    return number


def good_of(label: float, verdict: bool | None, good_from: float | None) -> bool | None:
    """Whether the label says good; None for a number that nobody has said it of."""
    # Words are verdicts already; --good-from is about numbers alone.
    if verdict is not None:
        return verdict
    if good_from is not None:
        return label >= good_from
    return bool(label) if label in (0.0, 1.0) else None


def _is_skipped(part: Mapping[str, Any]) -> bool:
    return "NOT_CHECKABLE" in (str(part.get("label")).upper(), str(part.get("passed")).upper())


def _parts(record: Record, number: str) -> list[dict[str, Any]]:
    claims = record.values.get("claims")
    if claims is None:
        return [record.values]
    if not isinstance(claims, list) or not all(isinstance(claim, dict) for claim in claims):
        raise UsageError(
            f"{record.place}: claims is not a list of objects", hint='{"claims": [{"label": "SUPPORTED"}]}'
        )
    own = str(record.values.get("id", number))
    return [{**record.values, **claim, "id": f"{own}/{index}"} for index, claim in enumerate(claims)]


def _pair(row: dict[str, Any], place: str, number: str, good_from: float | None) -> Pair:
    label, verdict = label_value(row.get("label"), place)
    score = row.get("score")
    return Pair(
        item=str(row.get("id") or number),
        rater=str(row.get("rater") or ""),
        label=label,
        good=good_of(label, verdict, good_from),
        score=float(score) if isinstance(score, bool) else number_of(score, place, "score"),
        passed=verdict_of(row.get("passed"), place, "passed"),
        at=_time(row.get("at"), place),
    )


def _time(raw: Any, place: str) -> datetime | None:
    if raw is None or raw == "":
        return None
    try:
        found = datetime.fromisoformat(raw)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{place}: at {raw!r} is not a time", hint="ISO 8601, as 2026-06-01T10:00:00Z") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
