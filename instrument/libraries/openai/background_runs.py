"""Counts the tokens of a run once per response id, on whichever span learns them first.

A call that begins a run in the background ends before the run does: its tokens come with a fetch, or with a stream
that is taken up again. Fetching a finished response once more must not count them once more.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

_MAX_RESPONSES = 10_000


class BackgroundRuns:
    """The newest response ids of this process, and whether their tokens stand on a span."""

    def __init__(self) -> None:
        self._counted: OrderedDict[str, bool] = OrderedDict()
        self._lock = threading.Lock()

    def begun(self, response_id: str, *, counted: bool) -> None:
        """A call made this response; `counted` when it learned its tokens too."""
        with self._lock:
            self._counted[response_id] = counted
            self._forget()

    def counts(self, response_id: str, *, background: bool) -> bool:
        """Whether the tokens that a fetch brings are to be counted on it; True once per response.

        A response that this process did not begin was counted where it was begun, unless it ran in the background.
        """
        with self._lock:
            if self._counted.get(response_id, not background):
                return False
            self._counted[response_id] = True
            self._forget()
            return True

    def _forget(self) -> None:
        while len(self._counted) > _MAX_RESPONSES:
            self._counted.popitem(last=False)
