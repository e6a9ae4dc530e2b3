"""Answers of statements that are still true: the same text and parameters, and nothing written to the store since."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from ..queries.store.result import Result

if TYPE_CHECKING:
    from ..queries.store.client import Store

MAX_ROWS = 2_000
MAX_SIZE = 16_000_000
"""Most characters that are kept; the oldest answers give way."""
_CHANGES_BY_ITSELF = re.compile(r"\b(now|now64|today|yesterday|rand\w*|generateUUID\w*)\(|\bsystem\.", re.IGNORECASE)
"""What a statement says whose answer is another one each time, or does not depend on what was written."""


class StatementCache:
    """Answers by statement and parameters, a project's among them; for one event loop and an embedded store.

    A server has other writers, so that nothing is kept of what it answers.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[tuple[int, int], int, Result]] = {}
        self._size = 0

    async def answer(self, store: Store, sql: str, parameters: dict[str, Any], *, max_rows: int = 0) -> Result:
        """The store's first `max_rows` rows (0: all), or what it gave before its last write. Raises what `Store.query` raises."""
        before = store.changes
        key = (sql, repr(sorted(parameters.items())))
        found = self._kept.get(key)
        if found and found[0] == before:
            return found[2]
        result = await asyncio.to_thread(lambda: store.query(sql, parameters, max_rows=max_rows))
        # `before` and not the count of now: what was written meanwhile may be in this answer, or not.
        if before is not None and not _CHANGES_BY_ITSELF.search(sql):
            self._keep(key, before, result)
        return result

    def _keep(self, key: tuple[str, str], changes: tuple[int, int], result: Result) -> None:
        if len(result.rows) > MAX_ROWS:
            return
        size = len(key[0]) + len(key[1]) + sum(map(_size, zip(*result.rows, strict=True)))
        if size > MAX_SIZE // 8:
            return
        self._size += size - self._kept.pop(key, (changes, 0, result))[1]
        self._kept[key] = (changes, size, result)
        while self._size > MAX_SIZE:
            self._size -= self._kept.pop(next(iter(self._kept)))[1]


def _size(column: tuple[Any, ...]) -> int:
    """About how many characters the values of a column take; what a list or map holds is estimated from its text."""
    kinds = set(map(type, column))
    if kinds <= {str}:
        return sum(map(len, column)) + 50 * len(column)
    if kinds.isdisjoint({str, list, tuple, dict}):
        return 30 * len(column)
    return sum(len(value if isinstance(value, str) else str(value)) + 50 for value in column)
