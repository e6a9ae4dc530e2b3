"""How long scores and messages wait for the spans they belong to: as long as those may still come into the store."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from .insert import Interrupted
from .log.durable import DurableLog

# When the service stops nothing new comes: what the log of spans holds now is inserted within this time, or at the next start.
_PARTING_S = 3.0


class Awaited:
    """The log of spans, seen by those who wait for what is in it; `stopping` is set when they are to stop."""

    def __init__(self, spans: DurableLog, stopping: threading.Event) -> None:
        self._spans, self._stopping = spans, stopping

    def looks(self, received_ms: int, wait_s: float, again_s: float) -> Iterator[None]:
        """
        Yields for each look into the store that is worth while. The last one comes when every span that was received until
        `wait_s` seconds after `received_ms` has been inserted or sampled out, however long that takes, or nothing waits and
        nothing will come.

        Raises:
            Interrupted: the service stops before that.
        """
        while True:
            is_last = self._spans.inserted_until_ms > received_ms + 1000 * wait_s
            is_last |= self._spans.ended_for_s > 0 and not self._spans.backlog_bytes
            yield
            if is_last:
                return
            if self._stopping.wait(again_s) or self._spans.ended_for_s > _PARTING_S:
                raise Interrupted
