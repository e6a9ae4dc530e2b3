"""Waits until everything that the service took is in the store, and its online evaluation has scored every answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...errors import CollectorUnreachable, EvalspanError
from ...queries import catalog
from ...queries.store.client import connect
from ...queries.store.lock_file import service_of
from ...queries.store.protocol import StoreClient
from ..metrics_client import counters

RULE = "answers"
_SECONDS = 16 * 86_400
_PATIENCE_S = 180


def wait_until_scored(store: Path, service: str, check: Callable[[], None]) -> int:
    """Returns how many answers are stored and scored; `check` is called while waiting and may raise.

    Raises:
        EvalspanError: no service runs, the rule is off, or scoring got nowhere for three minutes.
    """
    with connect(f"chdb://{store.resolve()}") as opened:
        finished, moved = -1, time.monotonic()
        while True:
            check()
            waiting = _not_inserted(store)  # asked first: an answer that arrives after this look belongs to no count
            stored = len(catalog.get("answers").run(opened, since_s=_SECONDS, service=service).rows)
            funnel = _funnel(opened)
            if not waiting and stored and funnel.get("finished", 0) >= stored:
                return stored
            if funnel.get("finished", 0) != finished:
                finished, moved = funnel.get("finished", 0), time.monotonic()
            if funnel.get("problem") or time.monotonic() - moved > _PATIENCE_S:
                why = funnel.get("problem") or f"{finished} of {stored} answers are scored and nothing moves"
                raise EvalspanError(f"Online evaluation is stuck: {why}.", hint="Its reasons are in serve.log.")
            time.sleep(1)


def _not_inserted(store: Path) -> float:
    """Bytes that the service has acknowledged and not yet put into the store."""
    owner = service_of(store.resolve())
    if owner is None:
        raise CollectorUnreachable(f"No `evalspan serve` runs on {store}.", hint="Its reasons are in serve.log.")
    return sum(value for name, _, value in counters(owner) if name == "log_backlog_bytes")


def _funnel(store: StoreClient) -> dict[str, Any]:
    rows = catalog.get("evaluation_funnel").run(store, rule=RULE).dicts()
    return rows[0] if rows else {}
