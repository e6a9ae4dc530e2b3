"""Who is signed in: random session ids that stand for keys, ended by the server after their time; failed tries are slowed."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable

import msgspec

from ..queries.host.auth import Access

SESSION_S = 12 * 3600
MAX_SESSIONS = 10_000
MAX_SESSIONS_OF_ONE = 1_000
MAX_FAILURES, MAX_FAILURES_OF_ALL, FAILURES_S = 10, 200, 60


class SignIn(msgspec.Struct, frozen=True):
    """One browser's session."""

    access: Access
    ends_at: float


class Sessions:
    """The sign-ins of this process; the browser never keeps the key."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._sessions: OrderedDict[str, SignIn] = OrderedDict()

    def begin(self, access: Access) -> str:
        """A new session. Where there are too many, the oldest of the same project gives way first."""
        self._forget()
        same = [key for key, found in self._sessions.items() if found.access == access]
        if len(same) >= MAX_SESSIONS_OF_ONE:
            del self._sessions[same[0]]
        elif len(self._sessions) >= MAX_SESSIONS:
            self._sessions.popitem(last=False)
        session = secrets.token_urlsafe(32)
        self._sessions[session] = SignIn(access, self._now() + SESSION_S)
        return session

    def access(self, session: str) -> Access | None:
        """What the session may see; None when there is none, or it has ended."""
        found = self._sessions.get(session)
        return found.access if found is not None and found.ends_at > self._now() else None

    def end(self, session: str) -> None:
        """Ends it; nothing happens when there is none."""
        self._sessions.pop(session, None)

    def _forget(self) -> None:
        now = self._now()
        while self._sessions and next(iter(self._sessions.values())).ends_at <= now:
            self._sessions.popitem(last=False)


class Throttle:
    """Counts failed sign-ins of the last minute, by client and in all."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failures: deque[tuple[float, str]] = deque()

    def failed(self, client: str) -> None:
        """A key was wrong."""
        self._failures.append((self._now(), client))

    def wait_s(self, client: str) -> int:
        """After how many seconds the client may try again; 0 for now."""
        since = self._now() - FAILURES_S
        while self._failures and self._failures[0][0] <= since:
            self._failures.popleft()
        own = [at for at, who in self._failures if who == client]
        if len(own) >= MAX_FAILURES:
            return 1 + int(own[-MAX_FAILURES] - since)
        if len(self._failures) >= MAX_FAILURES_OF_ALL:
            return 1 + int(self._failures[-MAX_FAILURES_OF_ALL][0] - since)
        return 0
