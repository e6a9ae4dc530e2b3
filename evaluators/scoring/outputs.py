"""Runs a suite over stored outputs: a few at a time, every outcome on disk as soon as it is known, resumable.

`evalspan score` reads a file or the span store through here; `score_report.py` sums up.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ...errors import UsageError, or_did_you_mean
from ..contract import Evaluator
from ..datasets.records import read_records
from ..runner import EvaluationResult, run_evaluator

_FIELDS = ("input", "output", "expected", "context", "span", "example")
# What experiments, datasets and other tools call the same things.
_OTHER_NAMES = {
    "output": ("model_output", "response"),
    "expected": ("expected_output", "reference"),
    "id": ("example_id",),
}


class Stored(msgspec.Struct, frozen=True):
    """One stored output: its id, the evaluator's arguments, how much it stands for, and what it is not independent of."""

    id: str
    arguments: dict[str, Any]
    fingerprint: str
    """Over the arguments: a changed line is another output, though it has the same id."""
    weight: float = 1.0
    cluster: str = ""


class Scored(msgspec.Struct, frozen=True):
    """One outcome of one stored output, as it stands in the results file."""

    id: str
    fingerprint: str
    outcome: EvaluationResult
    weight: float = 1.0
    cluster: str = ""
    words: int = 0
    source: str = "code"

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes it the same judgement."""
        return self.id, self.fingerprint, self.outcome.name, self.outcome.version


def read_outputs(path: Path, columns: Mapping[str, str] | None = None) -> list[Stored]:
    """The outputs of a file (JSONL or a table): `output`, and any of `id`, `input`, `expected`, `context`, `weight`, `cluster`.

    `columns` maps these fields to the file's own columns. Raises UsageError naming the line that is not JSON, has no
    output, or repeats an id.
    """
    found: dict[str, Stored] = {}
    for number, record in enumerate(read_records(path, columns), start=1):
        one = _stored(record.values, record.place, str(number))
        if one.id in found:
            raise UsageError(f"{record.place}: the id {one.id!r} was there before", hint="give each line its own id")
        found[one.id] = one
    if not found:
        raise UsageError(
            f"{path} holds no outputs", hint='write lines like {"id": "1", "output": "...", "context": "..."}'
        )
    return list(found.values())


class Results:
    """The results file: one line an outcome, appended and flushed; what a killed run left is read again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kept = {one.key: one for one in self._read()}
        self._file = path.open("ab")

    def scored_before(self, one: Stored, evaluator: Evaluator) -> bool:
        """Whether this judgement has a score; what was unscored is tried again."""
        kept = self.kept.get((one.id, one.fingerprint, evaluator.name, evaluator.version))
        return kept is not None and kept.outcome.unscored is None

    def add(self, scored: Scored) -> None:
        """Writes one outcome through to the operating system: a killed process loses none."""
        self._file.write(msgspec.json.encode(scored) + b"\n")
        self._file.flush()
        self.kept[scored.key] = scored

    def close(self) -> None:
        """Ends writing."""
        self._file.close()

    def _read(self) -> Iterator[Scored]:
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return
        good = 0
        for number, line in enumerate(self.path.read_bytes().splitlines(keepends=True), start=1):
            try:
                if not line.endswith(b"\n"):
                    raise msgspec.DecodeError
                yield msgspec.json.decode(line, type=Scored)
            except msgspec.DecodeError as error:
                if line.endswith(b"\n"):
                    raise UsageError(
                        f"{self.path}:{number} is not a result of evalspan score: {error}",
                        hint="choose another --output",
                    ) from error
                # The line under way when the last run was killed.
                with self.path.open("r+b") as file:
                    file.truncate(good)
                return
            good += len(line)


async def score_all(
    outputs: Sequence[Stored],
    suite: Sequence[Evaluator],
    results: Results,
    *,
    concurrency: int = 16,
    timeout_s: float | None = None,
    advance: Callable[[], None] = lambda: None,
) -> int:
    """Scores what is not scored yet; returns how many judgements were made now."""
    todo = [(one, evaluator) for one in outputs for evaluator in suite if not results.scored_before(one, evaluator)]
    for _ in range(len(outputs) * len(suite) - len(todo)):
        advance()
    async for scored in _judged(todo, concurrency, timeout_s):
        results.add(scored)
        advance()
    return len(todo)


async def _judged(
    todo: Sequence[tuple[Stored, Evaluator]], concurrency: int, timeout_s: float | None
) -> AsyncIterator[Scored]:
    # A few workers take from one iterator, so memory does not grow with the file.
    waiting = iter(todo)
    done: asyncio.Queue[Scored | None] = asyncio.Queue()

    async def work() -> None:
        for one, evaluator in waiting:
            outcome = await run_evaluator(evaluator, timeout_s=timeout_s, **one.arguments)
            done.put_nowait(_scored(one, evaluator, outcome))
        done.put_nowait(None)

    workers = [asyncio.create_task(work()) for _ in range(max(1, min(concurrency, len(todo))))]
    try:
        running = len(workers)
        while running:
            scored = await done.get()
            if scored is None:
                running -= 1
            else:
                yield scored
    finally:
        for worker in workers:
            worker.cancel()


def _scored(one: Stored, evaluator: Evaluator, outcome: EvaluationResult) -> Scored:
    words = len(str(one.arguments.get("output") or "").split())
    source = getattr(evaluator, "source", "code")
    return Scored(one.id, one.fingerprint, outcome, one.weight, one.cluster, words, source)


def _stored(record: dict[str, Any], place: str, number: str) -> Stored:
    for name, others in _OTHER_NAMES.items():
        for other in others:
            if name not in record and other in record:
                record[name] = record[other]
    if "output" not in record:
        raise UsageError(f"{place} has no output{or_did_you_mean('output', record)}", hint='each line needs "output"')
    metadata = record.get("metadata") if isinstance(record.get("metadata"), dict) else {}
    arguments = {name: record.get(name) for name in _FIELDS}
    arguments["context"] = record.get("context") or (metadata or {}).get("context")
    weight = _weight(record.get("weight"), place)
    digest = hashlib.sha256(msgspec.json.encode(arguments, order="deterministic")).hexdigest()[:16]
    return Stored(str(record.get("id") or number), arguments, digest, weight, str(record.get("cluster") or ""))


def _weight(raw: Any, place: str) -> float:
    try:
        weight = 1.0 if raw is None else float(raw)
    except (TypeError, ValueError):
        weight = 0.0
    if not 0 < weight < math.inf:
        raise UsageError(f"{place}: weight {raw!r} is not above 0", hint="it is 1 / the sampling probability")
    return weight
