"""Scores the demo's stored answers with its suite and writes the scores back to the store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from ...evaluators.rows import evaluation_row
from ...evaluators.running import run_suite
from ...queries import catalog
from ...queries.database import connect
from .suite import SUITE, text_of

_DAYS = 16


def score_stored(store: Path) -> int:
    """Runs the suite over every stored answer; returns how many answers there were. Running it again overwrites."""
    with connect(f"chdb://{store.resolve()}") as opened:
        answers = catalog.get("answers").run(opened, since_s=_DAYS * 86_400).dicts()
        rows = asyncio.run(_rows(answers))
        if rows:
            opened.insert("evaluations", rows)
    return len(answers)


async def _rows(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for answer in answers:
        outcomes = await run_suite(SUITE, input=answer["input"], output=text_of(answer["output"]), span=answer)
        rows += [evaluation_row(outcome, span=answer) for outcome in outcomes]
    return rows
