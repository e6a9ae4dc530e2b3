"""What pages read: answers that are kept end with the next write, and cheaper statements say what the plain ones said."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from evalspan.dashboard.statement_cache import StatementCache
from evalspan.dashboard.template_filters import environment
from evalspan.queries import catalog
from evalspan.queries.store.client import Store

DAY = datetime(2026, 4, 7, tzinfo=UTC)
COUNT = "SELECT count() FROM evaluations WHERE project = {project:String}"


def score(project: str, **about: Any) -> dict[str, Any]:
    return {"project": project, "evaluation_id": str(uuid.uuid4()), "name": "tone", "source": "code", "span_time": DAY, "score": 0.5, "passed": "pass", "unit": "span", **about}  # fmt: skip


def asked(cache: StatementCache, store: Store, sql: str = COUNT, **parameters: Any) -> Any:
    return asyncio.run(cache.answer(store, sql, parameters)).rows[0][0]


WRITES: dict[str, Callable[[Store, str], None]] = {
    "insert": lambda store, project: store.insert("evaluations", [score(project)]),
    "insert_from": lambda store, project: store.insert_from([{"project": project}], "project String", "INSERT INTO evaluations (project, evaluation_id, span_time) SELECT project, generateUUIDv4(), '2026-04-07' FROM {rows}"),
    "command": lambda store, project: store.command("INSERT INTO evaluations (project, evaluation_id, span_time) VALUES ({project:String}, generateUUIDv4(), '2026-04-07')", {"project": project}),
}  # fmt: skip


@pytest.mark.parametrize("way", WRITES)
def test_an_answer_that_is_kept_ends_with_any_write(store: Store, way: str) -> None:
    cache, project = StatementCache(), f"kept-{way}"
    assert asked(cache, store, project=project) == 0
    WRITES[way](store, project)
    assert asked(cache, store, project=project) == 1
    assert asked(cache, store, project="kept-another") == 0, "the answer of another project"


def test_spans_that_arrive_end_it_too_and_so_does_a_write_that_fails(store: Store) -> None:
    before = store.changes
    store.insert_otlp(b"", token=uuid.uuid4().hex)
    assert store.changes != before
    before = store.changes
    with pytest.raises(Exception, match="no_such_table"):
        store.command("DROP TABLE no_such_table")
    assert store.changes != before


def test_an_unchanged_store_is_asked_once_and_a_server_each_time(store: Store) -> None:
    class Counting:
        changes: tuple[int, int] | None = (1, 1)
        asked = 0

        def query(self, sql: str, parameters: Any = None, **_: Any) -> Any:
            self.asked += 1
            return store.query(sql, parameters)

    counting: Any = Counting()
    cache = StatementCache()
    for _ in range(3):
        asked(cache, counting, project="kept-none")
    assert counting.asked == 1
    for sql in ("SELECT now64(6)", "SELECT rand()", "SELECT count() FROM system.parts"):
        asked(cache, counting, sql)
        asked(cache, counting, sql)
    assert counting.asked == 7, "a statement that changes by itself was kept"
    counting.changes = None
    asked(cache, counting, project="kept-none")
    asked(cache, counting, project="kept-none")
    assert counting.asked == 9


def test_a_write_while_a_statement_runs_is_not_hidden_by_its_answer(store: Store) -> None:
    class Late:
        changes = (1, 1)

        def query(self, sql: str, parameters: Any = None, **_: Any) -> Any:
            found = store.query(sql, parameters)
            self.changes = (1, self.changes[1] + 1)  # somebody writes before the answer is there
            return found

    late: Any = Late()
    cache, project = StatementCache(), "kept-late"
    assert asked(cache, late, project=project) == 0
    store.insert("evaluations", [score(project)])
    assert asked(cache, late, project=project) == 1


def test_what_is_kept_is_bounded(store: Store) -> None:
    cache = StatementCache()
    for number in range(40):
        asked(cache, store, "SELECT repeat('x', 1000000), {n:UInt32}", n=number)
    assert cache._size <= 16_000_000
    assert len(cache._kept) < 40


def test_a_page_of_conversations_says_of_each_what_the_whole_list_says(store: Store) -> None:
    project, spans, scores = "page-conversations", [], []
    for number in range(6):
        for turn in range(3):
            trace, at = f"{number:016x}{turn:016x}", DAY + timedelta(minutes=10 * number + turn)
            common = {"project": project, "trace_id": trace, "conversation_id": f"talk-{number}", "start_time": at, "duration_ns": 10**9, "service": "desk"}  # fmt: skip
            spans.append({**common, "span_id": f"{turn:016x}", "status": "ERROR" if turn == number else "UNSET"})
            spans.append({**common, "span_id": f"{turn + 8:016x}", "parent_span_id": f"{turn:016x}", "input": f"question {number}.{turn}", "output": f"answer {number}.{turn}"})  # fmt: skip
            about = {"trace_id": trace, "span_id": f"{turn + 8:016x}", "span_time": at, "conversation_id": f"talk-{number}"}  # fmt: skip
            first = score(project, **about, score=0.1, passed="fail", version=1)
            # Judged again, better; and one that was taken back.
            scores += [first, {**first, "score": 0.9 - turn / 10, "passed": "pass", "version": 2}]
            gone = score(project, **about, name="gone", score=0.0, passed="fail", version=1)
            scores += [gone, {**gone, "version": 2, "is_deleted": 1}]
        whole = {"trace_id": "", "span_id": "", "unit": "conversation", "conversation_id": f"talk-{number}", "name": "resolved"}  # fmt: skip
        scores.append(score(project, **whole, span_time=DAY + timedelta(minutes=10 * number), score=number / 10, passed="fail" if number < 3 else "pass"))  # fmt: skip
    store.insert("spans", spans)
    store.insert("evaluations", scores)
    given: dict[str, Any] = {"project": project, "start": "2026-04-07 00:00:00", "end": "2026-04-08 00:00:00"}
    query = catalog.get("pages/sessions")
    whole_list = query.run(store, **given).dicts()
    ids = [row["conversation_id"] for row in whole_list]
    page = query.run(store, **given, ids=ids[:4], by_page=1, whole=0).dicts()
    assert ids == [f"talk-{number}" for number in range(5, -1, -1)]
    for got, expected in zip(page, whole_list, strict=False):
        assert {**got, "total": 6} == expected
    assert [row["lowest"] for row in whole_list] == [0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
    assert [row["failures"] for row in whole_list] == [0, 0, 0, 1, 1, 1]
    assert [row["turns"] for row in whole_list] == [3] * 6
    ends = [row[end] for row in page for end in ("first_trace", "last_trace")]
    hours = [f"{DAY:%F %T}", f"{DAY + timedelta(hours=1):%F %T}"]
    texts = (
        catalog.get("pages/session_previews")
        .run(store, **given, ids=ids[:4], traces=ends, hours=hours, chosen=1)
        .dicts()
    )
    assert {row["conversation_id"]: (row["asked"], row["answered"]) for row in texts} == {
        f"talk-{number}": (f"question {number}.0", f"answer {number}.2") for number in (5, 4, 3, 2)
    }


def test_a_slice_counts_a_trace_once_whichever_of_its_other_dimensions_differ(store: Store) -> None:
    project = "page-slices"
    rows = [
        score(
            project,
            trace_id=f"t{number % 5}",
            span_id=f"s{number}",
            service="desk",
            prompt_name="p",
            prompt_version=str(number % 2),
            request_model=f"m{number % 3}",
            score=number / 100,
            sample_weight=1 + number % 4,
        )
        for number in range(60)
    ]
    store.insert("evaluations", rows)
    given: dict[str, Any] = {"project": project, "start": "2026-04-07 00:00:00", "end": "2026-04-08 00:00:00"}
    found = catalog.get("pages/score_slices").run(store, **given, name="tone").dicts()
    of = {(row["dimension"], row["value"]): row for row in found}
    assert (of["service", "desk"]["n"], of["service", "desk"]["traces"]) == (60, 5)
    for dimension, value, held in (("model", "m1", lambda n: n % 3 == 1), ("prompt", "p 0", lambda n: n % 2 == 0)):
        chosen = [row for number, row in enumerate(rows) if held(number)]
        weight = sum(row["sample_weight"] for row in chosen)
        row = of[dimension, value]
        assert row["mean"] == pytest.approx(sum(one["sample_weight"] * one["score"] for one in chosen) / weight)
        assert row["effective_n"] == pytest.approx(weight**2 / sum(one["sample_weight"] ** 2 for one in chosen))
        assert row["n"] == len(chosen)


def test_a_length_that_never_differs_has_no_histogram_and_still_a_row() -> None:
    row = {"feature": "input_characters", "median_before": 1500, "median_after": 1500, "js_distance": 0.0, "ks_p": 1.0, "n_before": 40, "n_after": 50, "moved": False}  # fmt: skip
    drawn = environment().get_template("drift_inputs.html").render(numbers=[row], categories=[], words={}, histograms={}, json_url="/drift/inputs.json")  # fmt: skip
    assert "input characters" in drawn
    assert "<svg" not in drawn


def test_a_span_whose_time_is_known_is_read_from_one_hour_and_is_the_same_span(store: Store) -> None:
    project = "page-span"
    for minute in (0, 59, 60):
        at = DAY + timedelta(minutes=minute, milliseconds=999)
        store.insert(
            "spans",
            [
                {
                    "project": project,
                    "trace_id": f"{minute:032x}",
                    "span_id": "a" * 16,
                    "start_time": at,
                    "input": f"asked {minute}",
                }
            ],
        )
        given: dict[str, Any] = {"project": project, "trace": f"{minute:032x}", "span": "a" * 16}
        query = catalog.get("pages/span")
        bound = query.bound({**given, "at": f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}"})
        statement = query.statement(bound)
        assert "toStartOfHour" in statement
        assert store.query(statement, bound).dicts() == query.run(store, **given).dicts() != []


@pytest.mark.slow
def test_no_statement_asks_what_a_view_of_one_project_cannot_answer(store: Store) -> None:
    """A key of one project sees views, which have no PREWHERE; with FINAL a setting puts the sorting key first instead."""
    for name in (*catalog.names(), *catalog.page_names()):
        assert "PREWHERE" not in catalog.get(name).sql, name
    query = catalog.get("annotation_draw")
    bound = query.bound({"metric": "tone", "since": "2026-04-06T00:00:00Z", "until": "2026-04-13T00:00:00Z"})
    assert store.query_untrusted(query.statement(bound), bound, project="nobody").rows == []


def test_a_condition_on_the_sorting_key_is_first_and_loses_no_newer_version(store: Store) -> None:
    project = "page-newest"
    old = score(project, trace_id="t", span_id="s", score=0.1, passed="fail", version=1)
    store.insert("evaluations", [old, {**old, "score": 0.9, "passed": "pass", "version": 2}])
    gone = score(project, trace_id="t", span_id="s", name="gone", version=1)
    store.insert("evaluations", [gone])
    store.insert("evaluations", [{**gone, "version": 2, "is_deleted": 1}])
    sql = "SELECT name, score FROM evaluations WHERE project = {p:String} AND trace_id = 't' AND passed != 'unknown'"
    assert store.query(sql, {"p": project}).rows == [("tone", 0.9)]
    assert store.query(f"{sql} AND passed = 'fail'", {"p": project}).rows == []
    plan = "\n".join(row[0] for row in store.query(f"EXPLAIN actions = 1 {sql}", {"p": project}).rows)
    assert "Prewhere" in plan
