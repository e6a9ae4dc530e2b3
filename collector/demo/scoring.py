"""Waits until the service's online evaluation has scored every stored answer of the demo."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...instrument.errors import EvalspanError
from ...queries import catalog
from ...queries.database import connect

RULE = "answers"
_SECONDS = 16 * 86_400
_PATIENCE_S = 180


def wait_until_scored(store: Path, service: str, check: Callable[[], None]) -> int:
    """Returns how many answers are stored and scored; `check` is called while waiting and may raise.

    Raises:
        EvalspanError: the rule is off, or scoring got nowhere for three minutes.
    """
    with connect(f"chdb://{store.resolve()}") as opened:
        finished, moved = -1, time.monotonic()
        while True:
            check()
            stored = len(catalog.get("answers").run(opened, since_s=_SECONDS, service=service).rows)
            funnel = _funnel(opened)
            if stored and funnel.get("finished", 0) >= stored:
                return stored
            if funnel.get("finished", 0) != finished:
                finished, moved = funnel.get("finished", 0), time.monotonic()
            if funnel.get("problem") or time.monotonic() - moved > _PATIENCE_S:
                why = funnel.get("problem") or f"{finished} of {stored} answers are scored and nothing moves"
                raise EvalspanError(f"Online evaluation is stuck: {why}.", hint="Its reasons are in serve.log.")
            time.sleep(1)


def _funnel(store: Any) -> dict[str, Any]:
    rows = catalog.get("evaluation_funnel").run(store, rule=RULE).dicts()
    return rows[0] if rows else {}
