"""Keeps answers and scores between runs, so that an unchanged case costs nothing; one append-only file per target.

Appending as results come makes an interrupted run resumable. What failed or could not be scored is never kept.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from ...queries.atomic_write import write_atomically
from ..runner import Outcome
from .fingerprint import Touched, file_hash, listening, project_fingerprint
from .target import Answer, Target

LARGEST = 64 * 1024 * 1024  # bytes; above it the file is rewritten with what still holds


def default_directory() -> Path:
    """EVALSPAN_CACHE_DIR, else the user's cache directory."""
    named = os.environ.get("EVALSPAN_CACHE_DIR")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evalspan"


class Line(msgspec.Struct, omit_defaults=True):
    """One line of the cache file: a value, a fact about what a run touched (`read`, `write`, `outside`), or `reset`."""

    of: str
    """The fingerprint under which it holds."""
    kind: str
    key: str = ""
    value: Any = None


class Cache:
    """Answers and scores of one target under one fingerprint. Use inside `with cache.open():`."""

    def __init__(self, directory: Path, target: Target, suite: Sequence[Any], loaded: Touched) -> None:
        identity = target.identity
        declared = msgspec.json.encode(identity, order="sorted").decode()
        named = [target.function, *suite, *(_inner(one) for one in suite)]
        self.fingerprint = project_fingerprint(named, declared, loaded.read)
        name = hashlib.sha256(f"{Path.cwd()}\x00{identity.target}".encode()).hexdigest()[:24]
        self.path = directory / f"{name}.jsonl"
        # Whose answers may be kept although it talks to the outside: a declared model, a judge that names its own.
        self._declared = {f"score:{one.name}" for one in suite if getattr(one, "source", "code") == "llm_judge"}
        if identity.declared:
            self._declared.add("target")
        self._outside = {"target": loaded.outside} if loaded.outside else {}
        self._values: dict[str, Any] = {}
        self._reads: dict[str, str] = {}
        self._written: set[str] = set()
        self._file: Any = None

    @contextmanager
    def open(self) -> Iterator[Cache]:
        """Loads what still holds, keeps the file open for appending, and listens to what the target touches."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._load()
        with self.path.open("ab") as file, listening(self._hear):
            self._file = file
            try:
                yield self
            finally:
                self._file = None

    def unusable(self, who: str) -> str | None:
        """Why nothing of "target" or "score:<evaluator>" is kept: it talks to the outside and names no model."""
        return None if who in self._declared else self._outside.get(who)

    def answer(self, key: str) -> Answer | None:
        """The kept answer, marked as cached."""
        found = self._values.get(key)
        if found is None or self.unusable("target"):
            return None
        return msgspec.structs.replace(msgspec.convert(found, Answer), cached=True)

    def score(self, key: str, evaluator: str) -> Outcome | None:
        """The kept score."""
        found = self._values.get(key)
        return None if found is None or self.unusable(f"score:{evaluator}") else msgspec.convert(found, Outcome)

    def keep(self, key: str, value: Answer | Outcome) -> None:
        """Appends an answer or a score, unless it is an error or may not be kept."""
        if isinstance(value, Answer):
            refused = value.error is not None or self.unusable("target")
        else:
            refused = value.unscored is not None or self.unusable(f"score:{value.name}")
        if not refused:
            self._values[key] = msgspec.to_builtins(value)
            self._append("value", key, self._values[key])

    def _load(self) -> None:
        """Takes over what holds under our fingerprint; a file that was read and changed since voids all of it."""
        decoder = msgspec.json.Decoder(Line)
        for raw in self.path.read_bytes().splitlines() if self.path.exists() else ():
            try:
                line = decoder.decode(raw)
            except msgspec.DecodeError:
                continue  # cut off by a crash
            if line.of == self.fingerprint:
                self._take(line)
        stale = any(file_hash(path) != was for path, was in self._reads.items())
        if stale:
            self._take(Line(self.fingerprint, "reset"))
        if stale or (self.path.exists() and self.path.stat().st_size > LARGEST):
            write_atomically(self.path, b"".join(msgspec.json.encode(line) + b"\n" for line in self._lines()))

    def _take(self, line: Line) -> None:
        if line.kind == "reset":
            self._values.clear()
            self._reads.clear()
        elif line.kind == "value":
            self._values[line.key] = line.value
        elif line.kind == "outside":
            self._outside[line.key] = line.value
        elif line.kind == "read" and line.key not in self._written:
            self._reads[line.key] = line.value
        elif line.kind == "write":
            self._written.add(line.key)
            self._reads.pop(line.key, None)

    def _lines(self) -> Iterator[Line]:
        kinds = {"value": self._values, "read": self._reads, "outside": self._outside}
        for kind, facts in kinds.items():
            yield from (Line(self.fingerprint, kind, key, value) for key, value in facts.items())
        yield from (Line(self.fingerprint, "write", path) for path in self._written)

    def _hear(self, what: str, which: str, who: str) -> None:
        if what == "outside" and who not in self._outside:
            self._outside[who] = which
            self._append("outside", who, which)
        elif what == "write" and which not in self._written:
            # What the code under test writes itself (a log, a counter) is no input of it.
            self._take(Line(self.fingerprint, "write", which))
            self._append("write", which)
        elif what == "read" and which not in self._reads and which not in self._written:
            self._reads[which] = ""  # set first: hashing opens the file and is heard again
            self._reads[which] = file_hash(which)
            self._append("read", which, self._reads[which])

    def _append(self, kind: str, key: str, value: Any = None) -> None:
        if self._file is not None:
            self._file.write(msgspec.json.encode(Line(self.fingerprint, kind, key, value)) + b"\n")
            self._file.flush()


def key_of(*parts: Any) -> str:
    """The key of an answer or a score: a hash over everything that it depends on."""
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted", enc_hook=str)).hexdigest()


def _inner(evaluator: Any) -> Any:
    return getattr(evaluator, "function", evaluator)
