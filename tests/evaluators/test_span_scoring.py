"""`evalspan score --since`: stored spans scored once, weighted, and two versions compared on the same spans."""

import uuid
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from evalspan.errors import QueryError
from evalspan.evaluators import evaluator
from evalspan.evaluators.scoring.spans import compare_versions, score_spans

HOUR = timedelta(hours=1)


@pytest.fixture
def project(store):
    name = f"score-{uuid.uuid4().hex[:8]}"
    store.insert("spans", [span(name, n) for n in range(40)])
    return name


def span(project, n):
    message = [{"role": "assistant", "parts": [{"type": "text", "content": f"answer {n}"}]}]
    return {
        "project": project,
        "trace_id": uuid.uuid4().hex,
        "span_id": uuid.uuid4().hex[:16],
        "start_time": datetime.now(UTC),
        "name": "chat",
        "operation": "chat",
        "prompt_version": "v2",
        "sample_weight": 20.0,
        "output": msgspec.json.encode(message).decode(),
    }


def tone(version, offset=0.0):
    return evaluator(name="tone", version=version, threshold=0.5)(lambda output: int(output.split()[1]) / 40 + offset)


def rows_of(store, project):
    return store.query(
        "SELECT name, evaluator_version, score, sample_weight, prompt_version FROM evaluations FINAL WHERE project = {p:String}",
        {"p": project},
    ).dicts()


async def test_spans_are_scored_once_with_their_dimensions_and_weight(store, project):
    scored = await score_spans(store, [tone("1")], since=HOUR, project=project)
    assert sorted(one.outcome.value for one in scored) == [n / 40 for n in range(40)]
    rows = rows_of(store, project)
    assert len(rows) == 40
    assert {(row["sample_weight"], row["prompt_version"]) for row in rows} == {(20.0, "v2")}
    assert await score_spans(store, [tone("1")], since=HOUR, project=project) == []
    assert len(rows_of(store, project)) == 40


async def test_s07_a_fraction_is_drawn_by_hash_and_weighted(store, project):
    scored = await score_spans(store, [tone("1")], since=HOUR, project=project, fraction=0.5)
    assert 5 <= len(scored) <= 35
    assert {row["sample_weight"] for row in rows_of(store, project)} == {40.0}


async def test_j14_old_and_new_are_compared_on_the_same_spans_only(store, project):
    await score_spans(store, [tone("1")], since=HOUR, project=project, fraction=0.5)
    done = len(rows_of(store, project))
    new = tone("2", offset=0.25)
    assert "too few to compare" in compare_versions(store, new, since=HOUR, project=project)
    scored = await score_spans(store, [new], since=HOUR, project=project, rebaselined=frozenset(["tone"]))
    assert len(scored) == done  # only spans that the old version has scored
    said = compare_versions(store, new, since=HOUR, project=project)
    assert f"tone 1 -> 2 on the same {done} spans" in said
    assert "difference +0.250" in said


async def test_a_span_that_cannot_be_scored_is_stored_with_its_reason(store, project):
    broken = evaluator(name="broken", version="1")(lambda output: 1 / 0)
    scored = await score_spans(store, [broken], since=HOUR, project=project)
    assert {one.outcome.unscored for one in scored} == {"ZeroDivisionError: division by zero"}
    errors = store.query(
        "SELECT DISTINCT error, passed FROM evaluations WHERE project = {p:String}", {"p": project}
    ).rows
    assert [tuple(map(str, row)) for row in errors] == [("ZeroDivisionError: division by zero", "unknown")]


async def test_a_bad_condition_is_refused_before_anything_is_scored(store, project):
    with pytest.raises(QueryError):
        await score_spans(store, [tone("1")], since=HOUR, project=project, where="no_such_column = 1")
