"""Scores of spans, traces and conversations under one name never share a number, in any named query over scores."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from evalspan.queries import catalog
from evalspan.queries.store.client import Store

UNTIL = datetime(2026, 5, 4, tzinfo=UTC)
LEVEL = {"span": 0.2, "trace": 0.5, "conversation": 0.8}
PERIOD: dict[str, Any] = {"until": UNTIL.isoformat(), "since_s": 7 * 86400}
ASKED: dict[str, dict[str, Any]] = {
    "score_trend": {},
    "score_volume": {},
    "confidence_band": {},
    "cusum": {},
    "e_detector": {},
    "segments": {"by": "service"},
    "label_drift": {},
    "before_after": {"by": "prompt_version", "before": "1", "after": "2", "since_s": 14 * 86400},
    "corrected_mean": {},
    "judge_agreement": {},
    "version_comparison": {"metric": "m", "old": "1", "new": "2"},
    "labelled_pairs": {"metric": "m"},
}


def scores(unit: str, rng: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for number in range(400):
        about = {"trace_id": uuid.UUID(bytes=rng.bytes(16)).hex, "span_id": rng.bytes(8).hex(), "conversation_id": f"c{number // 4}"}  # fmt: skip
        if unit == "conversation":
            about = {"trace_id": "", "span_id": "", "conversation_id": f"alone-{number}"}
        elif unit == "trace":
            about["span_id"] = ""
        score = LEVEL[unit] + float(rng.normal(0, 0.01))
        when = UNTIL - timedelta(days=float(rng.uniform(0.01, 14)))
        common = {
            **about,
            "unit": unit,
            "name": "m",
            "score": score,
            "label": "good" if rng.random() < LEVEL[unit] else "bad",
            "passed": "pass",
            "span_time": when,
            "created_at": when,
            "service": "shop",
            "prompt_version": str(number % 2 + 1),
        }
        for source, version, author in (("code", "2", ""), ("code", "1", ""), ("human", "h", "ann")):
            if source == "human" and number % 4:
                continue
            rows.append({**common, "evaluation_id": str(uuid.UUID(bytes=rng.bytes(16))), "source": source, "evaluator_version": version, "author": author, "created_at": when + timedelta(seconds=version == "2")})  # fmt: skip
    return rows


@pytest.fixture(scope="module")
def projects(store: Store) -> dict[str, str]:
    """A project of each unit alone, and one ("") of all three."""
    made = {}
    every = []
    for seed, unit in enumerate(LEVEL):
        rows = scores(unit, np.random.default_rng(seed))
        made[unit] = f"unit-{unit}"
        store.insert("evaluations", [{**row, "project": made[unit]} for row in rows])
        every += rows
    made[""] = "unit-all"
    store.insert("evaluations", [{**row, "project": made[""], "evaluation_id": str(uuid.uuid4())} for row in every])
    return made


@pytest.mark.parametrize("name", ASKED)
def test_a_number_of_one_unit_is_the_same_beside_the_others(store: Store, projects: dict[str, str], name: str) -> None:
    def ask(project: str, **more: Any) -> list[dict[str, Any]]:
        rows = catalog.get(name).run(store, project=project, **{**PERIOD, **ASKED[name]}, **more).dicts()
        return [{key: value for key, value in row.items() if key not in TESTED_TOGETHER} for row in rows]

    together = ask(projects[""])
    assert {row["unit"] for row in together} == set(LEVEL)
    for unit in LEVEL:
        alone = ask(projects[unit])
        assert alone
        mine = [row for row in together if row["unit"] == unit]
        assert [_rounded(row) for row in mine] == [_rounded(row) for row in alone]
        assert [_rounded(row) for row in ask(projects[""], unit=unit)] == [_rounded(row) for row in alone]


# Corrected for the number of tests made at once, which is larger where there are more metrics.
TESTED_TOGETHER = {"p_adjusted", "moved"}


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 9) if isinstance(value, float) else value for key, value in row.items()}


def test_old_rows_know_their_unit_from_their_ids(store: Store) -> None:
    project = uuid.uuid4().hex
    ids: list[dict[str, str]] = [
        {"trace_id": "t", "span_id": "s", "conversation_id": "c"},
        {"trace_id": "t", "span_id": ""},
        {"trace_id": "", "span_id": "", "conversation_id": "c"},
        {"trace_id": "", "span_id": ""},
    ]
    store.insert(
        "evaluations",
        [
            {"project": project, "name": str(at), "evaluation_id": str(uuid.uuid4()), **one}
            for at, one in enumerate(ids)
        ],
    )
    found = store.query(
        "SELECT unit FROM evaluations WHERE project = {project:String} ORDER BY name", {"project": project}
    )
    assert [str(row[0]) for row in found.rows] == ["span", "trace", "conversation", "span"]
