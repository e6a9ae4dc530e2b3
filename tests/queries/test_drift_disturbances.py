"""What the e-detector does when traffic is disturbed: gaps, wild values, outages, new services, another sampling rate, other languages."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from evalspan.evaluators.evaluation_rows import evaluation_row
from evalspan.evaluators.runner import EvaluationResult
from evalspan.queries import catalog, drift_references
from evalspan.queries.languages import LANGUAGES, language_of
from evalspan.queries.store.client import Store

UNTIL = datetime(2026, 6, 15, tzinfo=UTC)
REFERENCE, WATCHED, A_DAY, SEEDS = 28, 14, 20, 6
Rows = list[dict[str, Any]]
Disturbance = Callable[[np.random.Generator, int, dict[str, Any]], Rows]


def scores(disturb: Disturbance, fall_at: int = 10**6, fall: float = 1.0) -> Rows:
    """Six metrics of six weeks, a row for each score; `disturb` gets the day since the watched time began (negative before)."""
    rows: Rows = []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        for day in range(-REFERENCE, WATCHED):
            for i in range(A_DAY):
                score = float(rng.normal(4 - fall * (day >= fall_at), 0.8))
                at = UNTIL - timedelta(days=WATCHED - day - (i + 0.5) / A_DAY)
                row = {"name": f"m{seed}", "score": score, "span_time": at, "service": "shop"}
                rows += disturb(rng, day, row)
    return rows


def alarms(store: Store, rows: Rows, **more: Any) -> dict[str, dict[str, Any]]:
    """The first alarming window of each metric, in a project of its own."""
    project = uuid.uuid4().hex
    common = {"project": project, "evaluator_version": "1", "source": "code"}
    ids = ({"evaluation_id": str(uuid.UUID(int=n)), "trace_id": f"{project}{n}"} for n in range(len(rows)))
    store.insert("evaluations", [{**common, **one, **row} for one, row in zip(ids, rows, strict=True)])
    given = {"since_s": WATCHED * 86400, "horizon": WATCHED, "until": UNTIL.isoformat(), **more}
    found: dict[str, dict[str, Any]] = {}
    for row in catalog.get("e_detector").run(store, project=project, **given).dicts():
        if row["alarm"]:
            found.setdefault(row["metric"], row)
    return found


def gaps(_: np.random.Generator, day: int, row: dict[str, Any]) -> Rows:
    return [] if day in (-20, -19, -18, -9, 2, 3, 4) else [row]


def wild(_: np.random.Generator, day: int, row: dict[str, Any]) -> Rows:
    first = row["span_time"].hour == 0
    return [{**row, "score": 60.0}] if day == 5 and first else [row]


def sampled(rng: np.random.Generator, day: int, row: dict[str, Any]) -> Rows:
    """From day 4 on about half of the calls are kept, and each of them stands for five."""
    return [row] if day < 4 else [{**row, "sample_weight": 5.0}] * bool(rng.random() < 0.5)


def lost_service(_: np.random.Generator, day: int, row: dict[str, Any]) -> Rows:
    other = {**row, "service": "help", "score": row["score"] - 1.5}
    return [row, *([other] if day < 3 else [])]


def new_service(_: np.random.Generator, day: int, row: dict[str, Any]) -> Rows:
    other = {**row, "service": "help", "score": row["score"] - 1.5}
    return [row, *([other] if day >= 3 else [])]


def other_languages(rng: np.random.Generator, day: int, row: dict[str, Any]) -> Rows:
    german = rng.random() < (0.7 if day >= 3 else 0.2)
    return [{**row, "input_language": "de" if german else "en", "score": row["score"] - 1.2 * german}]


HEALTHY: dict[str, Disturbance] = {
    "windows are missing": gaps,
    "one value is wild": wild,
    "another share is sampled": sampled,
    "a service ends": lost_service,
    "a service is new": new_service,
    "languages drift": other_languages,
}


@pytest.mark.slow
@pytest.mark.parametrize("what", HEALTHY)
def test_a_disturbance_raises_no_alarm_and_hides_no_fall(store: Store, what: str) -> None:
    quiet = alarms(store, scores(HEALTHY[what]))
    assert len(quiet) <= 1, quiet  # six metrics at 5 % each
    found = alarms(store, scores(HEALTHY[what], fall_at=7), direction="decrease")
    assert len(found) >= SEEDS - 1
    dates = sorted(row["since"] for row in found.values())
    assert abs(dates[len(dates) // 2] - (UNTIL - timedelta(days=WATCHED - 7))) <= timedelta(days=1)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["a service is new", "languages drift", "a service ends"])
def test_a_change_of_mix_moves_the_plain_mean(store: Store, what: str) -> None:
    assert len(alarms(store, scores(HEALTHY[what]), adjust=0)) == SEEDS


@pytest.mark.slow
def test_a_day_on_which_everything_failed_is_an_alarm_and_is_over_once_it_is(store: Store) -> None:
    def outage(_: np.random.Generator, day: int, row: dict[str, Any]) -> Rows:
        return [{**row, "score": 1.0}] if day == 3 else [row]

    found = alarms(store, scores(outage), direction="decrease")
    assert {row["window_start"] for row in found.values()} == {UNTIL - timedelta(days=WATCHED - 3)}
    assert len(found) == SEEDS
    assert sum(row["over"] for row in found.values()) >= SEEDS - 2


@pytest.mark.slow
def test_a_detector_says_what_it_lacks_also_after_a_level_was_accepted_and_where_one_conversation_says_all(
    store: Store,
) -> None:
    def ready(rows: Rows, accepted: datetime | None = None) -> dict[str, str]:
        project = uuid.uuid4().hex
        common = {"project": project, "evaluator_version": "1", "source": "code"}
        ids = ({"evaluation_id": str(uuid.UUID(int=n)), "trace_id": f"{project}{n}"} for n in range(len(rows)))
        store.insert("evaluations", [{**common, **one, **row} for one, row in zip(ids, rows, strict=True)])
        if accepted:
            now = UNTIL - timedelta(days=1)
            drift_references.accept(store, "m0", accepted, project=project, now=now)
        given: dict[str, Any] = {"project": project, "until": UNTIL.isoformat(), "metric": "m0"}
        told = catalog.get("detector_readiness").run(store, **given).dicts()
        watched = {row["metric"] for row in catalog.get("e_detector").run(store, **given).dicts()}
        assert watched == {row["metric"] for row in told if row["enough"]}
        return {row["metric"]: row["problem"] for row in told}

    def kept(*days: int, **more: Any) -> Rows:
        return [
            {**row, **more} for row in scores(lambda _, day, row: [row] if day in days else []) if row["name"] == "m0"
        ]

    week = range(WATCHED - 7, WATCHED)
    assert ready(kept(*week)) == {"m0": "0 windows with 5 or more scores in the reference, 2 are needed"}
    assert ready(kept(*range(WATCHED))) == {"m0": ""}
    late = ready(kept(*range(WATCHED)), UNTIL - timedelta(days=2))
    assert late == {"m0": "1 windows with 5 or more scores in the reference, 2 are needed"}
    talks = [
        {**row, "conversation_id": f"{row['span_time']:%j}", "span_time": row["span_time"].replace(hour=1)}
        for row in kept(*range(WATCHED))
    ]
    assert ready(talks) == {"m0": "0 windows with 5 or more scores in the reference, 2 are needed"}
    renamed = kept(*range(WATCHED - 7)) + kept(*week, service="renamed")
    assert ready(renamed) == {"m0": "no window with 5 or more scores in the period"}


TEXTS = [
    *(f"{words} {other}" for words in LANGUAGES.values() for other in ("", "xyz")),
    "Where is the tent?", "Wo ist das Zelt, und was kostet es?", "Où est la tente?", "¿Dónde está la tienda?", "Dov'è la tenda?",
    "Onde está a minha tenda?", "Waar is mijn tent?", "帐篷在哪里", "テントはどこ", "텐트는 어디", "Где палатка", "أين الخيمة", "तंबू कहाँ है",
    "πού είναι", "איפה האוהל", "12345", "", "que no un una", "een der is", "THE IS AND", "x_the the_x", "the" * 700, "ÜBER für FÜR",
]  # fmt: skip


def test_the_language_of_a_text_is_the_same_in_python_and_in_sql(store: Store) -> None:
    part = (catalog.FOLDER / "parts" / "language.sql").read_text().partition("\n")[2].rstrip().removesuffix(",")
    sql = f"WITH {part} SELECT named_language(text, hits_of(words_of(text))) FROM (SELECT arrayJoin({{texts:Array(String)}}) AS text)"
    told = [row[0] for row in store.query(sql, {"texts": TEXTS}).rows]
    assert told == [language_of(text) for text in TEXTS]
    assert set(LANGUAGES) | {"Han", "Kana", "Hangul", "Cyrillic", "Greek", "Hebrew", "unknown"} <= set(told)


def test_a_scored_call_carries_the_language_of_its_question() -> None:
    question = '[{"role": "system", "content": "You are the shop."}, {"role": "user", "parts": [{"type": "text", "content": "Wo ist mein Zelt und was kostet das?"}]}]'
    row = evaluation_row(EvaluationResult("m", "1", value=1.0), span={"input": question})
    assert row["input_language"] == "de"
    assert "input_language" not in evaluation_row(EvaluationResult("m", "1", value=1.0), span={"input": ""})
