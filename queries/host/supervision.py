"""Keeps the parts of the service running: each is restarted after an exception, with growing pauses, and its state is known."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

logger = logging.getLogger(__name__)

MIN_PAUSE_S, MAX_PAUSE_S = 0.5, 60.0
# A part that ran so long is well again: the next exception starts with the shortest pause.
HEALTHY_AFTER_S = 60.0


class State(StrEnum):
    """How a part does."""

    OK = "ok"
    STARTING = "starting"
    WARNING = "warning"
    """It works, or goes on working by itself later; nothing that was acknowledged is lost."""
    FAILED = "failed"
    OFF = "off"


class PartState(msgspec.Struct):
    """A part's state, since when, and why."""

    state: State
    since: datetime
    detail: str = ""
    restarts: int = 0

    def as_json(self, *, with_detail: bool) -> dict[str, object]:
        """For /readyz; the detail may quote what a project sent."""
        shown: dict[str, object] = {
            "state": self.state.value,
            "since": self.since.isoformat(timespec="seconds"),
            "restarts": self.restarts,
        }
        if with_detail:
            shown["detail"] = self.detail
        return shown


class Supervisor:
    """Runs parts and remembers their states. Safe to use from many threads."""

    def __init__(self, count: Callable[..., None] = lambda *_, **__: None) -> None:
        """`count` adds to a counter by name and labels."""
        self._count = count
        self._parts: dict[str, PartState] = {}
        self._checks: dict[str, Callable[[], tuple[State, str]]] = {}
        self._lock = threading.Lock()

    def set_state(self, part: str, state: State, detail: str = "") -> None:
        """Says how a part does; the time stays when nothing changes."""
        with self._lock:
            known = self._parts.get(part)
            if known is None:
                self._parts[part] = PartState(state, datetime.now(UTC), detail)
            else:
                if known.state != state:
                    known.since = datetime.now(UTC)
                known.state, known.detail = state, detail

    def check(self, part: str, look: Callable[[], tuple[State, str]]) -> None:
        """A part whose state is found out when somebody asks."""
        self._checks[part] = look
        self.set_state(part, State.STARTING)

    def states(self) -> dict[str, PartState]:
        """All parts, as they are now."""
        for part, look in list(self._checks.items()):
            try:
                self.set_state(part, *look())
            except Exception as error:  # noqa: BLE001 - a look that fails is a finding
                self.set_state(part, State.FAILED, f"{type(error).__name__}: {error}")
        with self._lock:
            return {part: msgspec.structs.replace(state) for part, state in self._parts.items()}

    async def keep_running(self, part: str, run: Callable[[], Awaitable[None]]) -> None:
        """Awaits `run` until it returns or is cancelled; after an exception again, later each time."""
        pause = MIN_PAUSE_S
        while True:
            began = time.monotonic()
            self.set_state(part, State.OK)
            try:
                await run()
            except Exception as error:  # noqa: BLE001 - whatever it is, the part goes on
                pause = self._failed(part, error, began, pause)
                await asyncio.sleep(pause)
            else:
                return

    def keep_running_thread(self, part: str, run: Callable[[], None], stop: threading.Event) -> None:
        """The same for a thread's function, until `stop` is set."""
        pause = MIN_PAUSE_S
        while True:
            began = time.monotonic()
            self.set_state(part, State.OK)
            try:
                run()
            except Exception as error:  # noqa: BLE001 - as above
                pause = self._failed(part, error, began, pause)
                if stop.wait(pause):
                    return
            else:
                return

    def _failed(self, part: str, error: Exception, began: float, pause: float) -> float:
        """Notes the exception; returns the seconds until the next try."""
        well = time.monotonic() - began >= HEALTHY_AFTER_S
        pause = MIN_PAUSE_S if well else min(2 * pause, MAX_PAUSE_S)
        logger.error("%s failed, starting again in %.2g s", part, pause, exc_info=error)
        self.set_state(part, State.FAILED, f"{type(error).__name__}: {error}")
        with self._lock:
            self._parts[part].restarts += 1
        self._count("part_restarts_total", 1, part=part)
        return pause
