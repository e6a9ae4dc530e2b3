"""One JSON line on stderr for each window of scores, so that whatever collects the service's log has the trend, too."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from ...queries import catalog
from ...queries.store.client import Store

_log = logging.getLogger(__name__)
MAX_METRICS = 200
"""In one line."""
_KEPT = ("metric", "evaluator_version", "effective_n", "mean", "low", "high", "p10", "share_unscored")


async def follow(
    store: Store, projects: Sequence[str], every_s: int, say: Callable[[str], None], stop: asyncio.Event
) -> None:
    """Says every window once, one window after its end, because evaluators need their time.

    When `stop` is set it ends after the queries under way, for a store must not be closed under one. A failure costs
    the line of its window, not those after it: the rows stay in the store.
    """
    last = 0
    while True:
        now = time.time()
        # The timer may wake a little early: then the same window must not be said again.
        following = (int(now) // every_s + 1) * every_s
        # A window much further ahead means that the clock went back: it must not be waited for.
        boundary = max(following, last + every_s) if last <= following else following
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), boundary - now)
            return
        end = datetime.fromtimestamp(boundary - every_s, UTC)
        for project in projects:
            try:
                line = await asyncio.to_thread(line_of, store, project, end, every_s)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next window is said
                _log.error("the scores of %s until %s are not summed up: %s", project, end.isoformat(), error)
                continue
            if line:
                say(line)
        last = boundary


def line_of(store: Store, project: str, end: datetime, every_s: int) -> str:
    """The window that ends there as JSON; empty when nothing of it was evaluated."""
    rows = catalog.get("score_trend").run(
        store, project=project, since_s=every_s, window_s=every_s, until=end.isoformat()
    )
    if not rows.rows:
        return ""
    # Senders make up names; the metrics with the most samples are said, in their order.
    found = rows.dicts()
    most = sorted(range(len(found)), key=lambda place: -found[place]["n"])[:MAX_METRICS]
    said: dict[str, Any] = {
        "event": "evaluation_aggregates",
        "project": project,
        "window_start": end - timedelta(seconds=every_s),
        "window_end": end,
        "scores": [_score(found[place]) for place in sorted(most)],
    }
    if len(found) > MAX_METRICS:
        said["scores_left_out"] = len(found) - MAX_METRICS
    return msgspec.json.encode(said).decode()


def _score(row: dict[str, Any]) -> dict[str, Any]:
    """A metric's numbers; what failed is told as a rate with its interval, so hallucination's is the hallucination rate."""

    def rest(name: str) -> float | None:
        return None if row[name] is None else 1 - row[name]

    return {
        **{name: row[name] for name in _KEPT},
        "sample_count": row["n"],
        "verdicts": row["pass_n"],
        "failure_rate": rest("pass_rate"),
        "failure_low": rest("pass_high"),
        "failure_high": rest("pass_low"),
    }
