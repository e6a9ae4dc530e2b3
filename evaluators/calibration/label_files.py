"""Puts human labels beside scored outputs: the files that `evalspan calibrate --labels` reads, one for each evaluator."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from ...errors import UsageError
from ..scoring.outputs import Scored


def read_labels_by_id(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The labels of a JSONL file (`id`, `label`, and any of `rater`, `at`) by id. Raises UsageError naming a bad line."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint="check the path") from error
    labels: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = msgspec.json.decode(line, type=dict)
            labels[str(record["id"])].append({**record, "label": record["label"]})
        except (msgspec.DecodeError, KeyError) as error:
            hint = 'write lines like {"id": "1", "label": true}'
            raise UsageError(f"{path}:{number} is not a label: {error!r}", hint=hint) from error
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
