"""What is erased with a user: all that was said with them and made of it, also when it is cut short, and nothing of anybody else."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from evalspan.queries.erase import count_rows_of_user, erase_user
from evalspan.queries.store.client import Store

NOW = datetime(2026, 6, 1, tzinfo=UTC)
# trace, user, conversation
SPANS = (
    ("single", "ann", ""),
    ("turn-1", "ann", "talk"),
    ("turn-2", "", "talk"),  # the app named the user once
    ("turn-3", "bob", "talk"),
    ("nobodys", "", ""),
    ("bobs", "bob", "other"),
    ("anns-judge", "", ""),
    ("talks-judge", "", ""),
    ("bobs-judge", "", ""),
    ("run-of-anns-case", "", ""),
    ("run-of-bobs-case", "", ""),
)
# trace, conversation, unit, judge's trace, experiment
SCORES = (
    ("single", "", "span", "anns-judge", ""),
    ("turn-2", "talk", "span", "", ""),
    ("turn-3", "talk", "span", "", ""),
    ("", "talk", "conversation", "talks-judge", ""),
    ("bobs", "other", "trace", "bobs-judge", ""),
    ("", "other", "conversation", "", ""),
    ("run-of-anns-case", "", "trace", "", "e1"),
    ("run-of-bobs-case", "", "trace", "", "e2"),
)
# dataset, id, source trace, conversation
EXAMPLES = (
    ("d1", "case", "single", ""),
    ("d1", "of-the-talk", "turn-3", "talk"),
    ("d2", "case", "bobs", ""),
    ("d2", "by-hand", "", ""),
)
# experiment, example, trace of the run
RESULTS = (("e1", "case", "run-of-anns-case"), ("e1", "by-hand", ""), ("e2", "case", "run-of-bobs-case"))

LEFT = {
    "spans": {"turn-3", "nobodys", "bobs", "bobs-judge", "run-of-bobs-case"},
    "evaluations": {"turn-3", "bobs", "other", "run-of-bobs-case"},
    "examples": {"d2/case", "d2/by-hand"},
    "experiment_results": {"e1/by-hand", "e2/case"},
}
_NAMES = {
    "spans": "trace_id",
    "evaluations": "if(trace_id = '', conversation_id, trace_id)",
    "examples": "concat(dataset, '/', example_id)",
    "experiment_results": "concat(experiment_id, '/', example_id)",
}


def filled(store: Store) -> str:
    """A project with the rows above."""
    project = f"erase-{uuid.uuid4()}"
    spans: list[dict[str, Any]] = []
    for number, (trace, user, talk) in enumerate(SPANS):
        row = {"project": project, "trace_id": trace, "span_id": f"{number:016x}", "name": "chat", "start_time": NOW}
        spans.append({**row, "user_id": user, "conversation_id": talk})
    store.insert("spans", spans)
    scores: list[dict[str, Any]] = []
    for trace, talk, unit, judge, experiment in SCORES:
        row = {"project": project, "evaluation_id": uuid.uuid4(), "name": "m", "source": "llm_judge", "unit": unit}
        about = {"trace_id": trace, "conversation_id": talk, "judge_trace_id": judge, "experiment_id": experiment}
        scores.append({**row, **about, "score": 1.0, "span_time": NOW})
    store.insert("evaluations", scores)
    examples: list[dict[str, Any]] = []
    for dataset, name, trace, talk in EXAMPLES:
        row = {"project": project, "dataset": dataset, "example_id": name, "input": "{}", "source_trace_id": trace}
        examples.append({**row, "metadata": json.dumps({"conversation_id": talk} if talk else {})})
    store.insert("examples", examples)
    store.insert(
        "experiments",
        [{"project": project, "experiment_id": f"e{n}", "name": "x", "dataset": f"d{n}"} for n in (1, 2)],
    )
    store.insert(
        "experiment_results",
        [{"project": project, "experiment_id": e, "example_id": name, "trace_id": trace} for e, name, trace in RESULTS],
    )
    return project


def left(store: Store, project: str) -> dict[str, set[str]]:
    given = {"project": project}
    return {
        table: {
            row[0] for row in store.query(f"SELECT {name} FROM {table} WHERE project = {{project:String}}", given).rows
        }
        for table, name in _NAMES.items()
    }


@pytest.mark.slow
def test_all_that_was_said_with_a_user_goes_and_nothing_of_others(store: Store) -> None:
    project, other = filled(store), filled(store)
    before = left(store, other)
    counted = count_rows_of_user(store, "ann", project)
    assert left(store, project) == before
    assert erase_user(store, "ann", project) == counted
    assert left(store, project) == LEFT
    assert left(store, other) == before
    assert {one.table: one.rows for one in counted} == {
        table: len(before[table]) - len(LEFT[table]) for table in before
    }
    assert not any(one.rows for one in count_rows_of_user(store, "ann", project))


@pytest.mark.slow
@pytest.mark.parametrize("cut_after", [1, 3])
def test_an_erasure_that_was_cut_short_finds_the_rest_when_it_is_made_again(
    store: Store, cut_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, alter = filled(store), store.alter
    made: list[Any] = []

    def cut(*asked: Any) -> None:
        if len(made) == cut_after:
            raise KeyboardInterrupt
        made.append(asked)
        alter(*asked)

    with monkeypatch.context() as patch:
        patch.setattr(store, "alter", cut)
        with pytest.raises(KeyboardInterrupt):
            erase_user(store, "ann", project)
    erase_user(store, "ann", project)
    assert left(store, project) == LEFT


def test_a_name_is_a_name_and_no_pattern(store: Store) -> None:
    project = filled(store)
    before = left(store, project)
    for name in ("%", "an", "ANN", "ann' OR '1'='1", "a\nb", " "):
        assert not any(one.rows for one in erase_user(store, name, project))
    assert left(store, project) == before
