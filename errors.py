"""The errors that people see, as one tree; each carries the fix and the exit code of the terminal face.

EvalspanError                     exit 1
├── UsageError                    exit 2   a bad option, file, name or value
│   ├── ConfigError               exit 2   evalspan.toml or an EVALSPAN_* variable
│   └── DatasetError              exit 2   an example or a dataset that breaks a rule
├── StoreError                    exit 5   the store
│   ├── StoreLocked               exit 5   another process owns the embedded store
│   ├── StoreUnreachable          exit 5   nothing answers there
│   └── QueryError                exit 2   ClickHouse refused the SQL
├── CollectorUnreachable          exit 5   no collector answers
└── NotArrived                    exit 6   what was sent did not become queryable
"""

from __future__ import annotations

from collections.abc import Iterable


class EvalspanError(Exception):
    """Something a person can act on: the message says what, where and why, `hint` says the fix."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(EvalspanError):
    """A bad option, file, name or value."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting that does not exist or has a value it cannot have."""


class DatasetError(UsageError, ValueError):
    """An example or a dataset that breaks a rule of its partition or of the file format."""


class StoreError(EvalspanError):
    """The store cannot do what was asked."""

    exit_code = 5


class StoreLocked(StoreError):
    """Another process owns the embedded store."""


class StoreUnreachable(StoreError):
    """Nothing answers at the store's address, or it refuses us."""


class QueryError(StoreError):
    """ClickHouse refused a statement; `code` is its number, 0 if it gave none."""

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "", code: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.code = code


class CollectorUnreachable(EvalspanError):
    """No collector answers at the address."""

    exit_code = 5


class NotArrived(EvalspanError):
    """What was sent did not become queryable in time."""

    exit_code = 6


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that a mistyped one is most like; None when none is near. `cutoff` is difflib's ratio."""
    from difflib import get_close_matches  # only an error needs it

    return next(iter(get_close_matches(word, list(known), n=1, cutoff=cutoff)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for a mistyped name: the nearest known one, else all of them."""
    names = list(known)
    near = nearest(word, names)
    return f"Did you mean {near!r}?" if near else f"There are: {', '.join(names)}."


def or_did_you_mean(word: str, known: Iterable[str]) -> str:
    """The same as the end of a sentence that lists the names itself; empty when none is near."""
    near = nearest(word, known)
    return f"; did you mean {near!r}?" if near else ""
