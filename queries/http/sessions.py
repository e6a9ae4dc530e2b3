"""Sessions of the SQL port: the settings and the database that a client keeps between its requests, one request at a time."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ...errors import QueryError
from ..shares import Shares
from .request import UNKNOWN_SESSION, Statement

SESSION_IS_LOCKED = 373

_SET = re.compile(r"^\s*SET\s+(?P<pairs>.+?)\s*;?\s*$", re.IGNORECASE | re.DOTALL)
_PAIR = re.compile(r"""\s*(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|[\w.+-]+)\s*(?:,|$)""")
_USE = re.compile(r"^\s*USE\s+[`\"]?(\w+)[`\"]?\s*;?\s*$", re.IGNORECASE)


class Session:
    """What one client has set."""

    def __init__(self) -> None:
        self.settings: dict[str, str] = {}
        self.database = ""
        self.busy = False
        self.ends = 0.0


class Sessions:
    """All sessions; those that nobody used for their timeout are forgotten."""

    def __init__(self, places: Shares) -> None:
        self._sessions: dict[tuple[str, str], Session] = {}
        self._places = places

    @contextmanager
    def of(self, statement: Statement, owner: str) -> Iterator[Session]:
        """
        The statement's session, locked while it runs; without a name a new one that ends with it.

        Raises:
            QueryError: 372 when it must exist and does not, 373 when another request is running in it.
            ShareExhausted: there are too many.
        """
        if not statement.session:
            yield Session()
            return
        self._forget()
        key = (owner, statement.session)
        session = self._sessions.get(key)
        if session is None:
            if statement.session_check:
                raise QueryError(f"Session {statement.session} not found.", code=UNKNOWN_SESSION)
            self._places.acquire(owner)
            session = self._sessions[key] = Session()
        if session.busy:
            raise QueryError(f"Session {statement.session} is locked by a concurrent client.", code=SESSION_IS_LOCKED)
        session.busy = True
        try:
            yield session
        finally:
            session.busy = False
            session.ends = time.monotonic() + statement.session_timeout_s
            if statement.close_session:
                self._remove(key)

    def _forget(self) -> None:
        now = time.monotonic()
        for key in [key for key, session in self._sessions.items() if not session.busy and session.ends < now]:
            self._remove(key)

    def _remove(self, key: tuple[str, str]) -> None:
        if self._sessions.pop(key, None) is not None:
            self._places.release(key[0])


def assigned(sql: str) -> dict[str, str] | None:
    """The settings of a SET statement, or None when it is none that we read."""
    found = _SET.match(sql)
    if not found:
        return None
    values, at, pairs = {}, 0, found.group("pairs")
    while at < len(pairs):
        pair = _PAIR.match(pairs, at)
        if not pair:
            return None
        name, value = pair.groups()
        values[name] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith("'") else value
        at = pair.end()
    return values


def used(sql: str) -> str:
    """The database of a USE statement, or ""."""
    found = _USE.match(sql)
    return found.group(1) if found else ""
