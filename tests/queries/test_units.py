"""Scores of spans, traces and conversations under one name never share a number, in any named query over scores."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from evalspan.errors import QueryError
from evalspan.evaluators.statistics import clustered_standard_error
from evalspan.queries import catalog, span_conditions
from evalspan.queries.store.client import Store
from evalspan.queries.untrusted.statement_size import check_size
from evalspan.queries.untrusted.syntax_tree import complete_tree

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
    for number in range(240):
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


@pytest.mark.slow
@pytest.mark.parametrize("name", ASKED)
def test_a_number_of_one_unit_is_the_same_beside_the_others(store: Store, projects: dict[str, str], name: str) -> None:
    def ask(project: str, **more: Any) -> list[dict[str, Any]]:
        rows = catalog.get(name).run(store, project=project, **{**PERIOD, **ASKED[name]}, **more).dicts()
        return [{key: value for key, value in row.items() if key not in TESTED_TOGETHER} for row in rows]

    together = ask(projects[""])
    assert {row["unit"] for row in together} == set(LEVEL)
    for unit in LEVEL:
        mine = [row for row in together if row["unit"] == unit]
        _assert_alike(mine, ask(projects[unit]))
    _assert_alike(ask(projects[""], unit="trace"), [row for row in together if row["unit"] == "trace"])


# Corrected for the number of tests made at once, which is larger where there are more metrics.
TESTED_TOGETHER = {"p_adjusted", "moved"}


def _assert_alike(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert found
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one == {
            key: pytest.approx(value, rel=1e-6) if isinstance(value, float) else value for key, value in other.items()
        }


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


CLUSTERED: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "score_trend": ({"window_s": 7 * 86400}, ("mean", "standard_error", "low", "high", "effective_n", "pass_rate", "pass_low", "pass_high")),
    "confidence_band": ({}, ("mean", "sd", "effective_n", "low", "high")),
    "e_detector": ({"min_n": 2}, ("mean", "standard_error", "effective_n", "statistic")),
    "segments": ({"by": "service"}, ("mean", "standard_error", "effective_n", "p")),
    "before_after": ({"by": "prompt_version", "before": "1", "after": "2", "since_s": 14 * 86400}, ("difference", "standard_error", "p", "rank_p", "effective_n_after")),
}  # fmt: skip


@pytest.fixture(scope="module")
def repeated(store: Store) -> tuple[str, str]:
    """A project with one score per conversation, and one in which every conversation says it five times."""
    rng = np.random.default_rng(7)
    rows = []
    for number in range(300):
        when = UNTIL - timedelta(days=float(rng.uniform(0.01, 14)))
        rows.append({
            "unit": "span", "name": "m", "evaluator_version": "1", "source": "code", "score": float(rng.normal(0.5, 0.2)),
            "passed": "pass" if rng.random() < 0.7 else "fail", "span_time": when, "created_at": when, "service": "shop",
            "prompt_version": str(number % 2 + 1), "conversation_id": f"c{number}", "trace_id": f"t{number}",
        })  # fmt: skip
    for project, times in (("cluster-once", 1), ("cluster-five", 5)):
        store.insert(
            "evaluations",
            [
                {**row, "project": project, "span_id": str(at), "evaluation_id": str(uuid.uuid4())}
                for row in rows
                for at in range(times)
            ],
        )
    return "cluster-once", "cluster-five"


@pytest.mark.slow
@pytest.mark.parametrize("name", CLUSTERED)
def test_repeating_what_a_conversation_says_makes_no_interval_narrower(store: Store, repeated: tuple[str, str], name: str) -> None:  # fmt: skip
    asked, columns = CLUSTERED[name]
    once, five = (
        [[row[column] for column in columns] for row in catalog.get(name).run(store, project=project, **{**PERIOD, **asked}).dicts()]
        for project in repeated
    )  # fmt: skip
    assert once
    assert len(once) == len(five)
    for alone, many in zip(once, five, strict=True):
        assert many == pytest.approx(alone, rel=1e-6, nan_ok=True)


def test_the_standard_error_of_a_trend_is_the_clustered_one(store: Store) -> None:
    rng = np.random.default_rng(11)
    project, clusters, values, rows = uuid.uuid4().hex, [], [], []
    for number in range(60):
        level = float(rng.normal(0.5, 0.3))
        for at in range(int(rng.integers(1, 6))):
            clusters.append(number)
            values.append(level + float(rng.normal(0, 0.05)))
            named = {"conversation_id": f"c{number}"} if number % 3 else {"conversation_id": "", "span_id": f"{at}"}
            if not number % 3:
                clusters[-1] = -len(values)
            rows.append({"project": project, "evaluation_id": str(uuid.uuid4()), "name": "m", "trace_id": f"t{len(values)}", "span_id": "s", "score": values[-1], "span_time": UNTIL - timedelta(hours=1), **named})  # fmt: skip
    store.insert("evaluations", rows)
    (row,) = catalog.get("score_trend").run(store, project=project, **PERIOD).dicts()
    groups = len(set(clusters))
    expected = clustered_standard_error(values, clusters) * (groups / (groups - 1)) ** 0.5
    assert row["standard_error"] == pytest.approx(expected)
    assert row["n"] == len(values)
    assert row["effective_n"] < groups


@pytest.mark.slow
def test_every_named_query_is_small_enough_for_the_service(store: Store) -> None:
    for name in catalog.names():
        query = catalog.get(name)
        filled = {parameter.name: parameter.default or "0" for parameter in query.parameters}
        tree = complete_tree("\n".join(str(row[0]) for row in store.query(f"EXPLAIN AST {query.sql}", filled).rows))
        check_size(query.sql, tree)


def test_tables_that_name_each_other_twice_are_too_large_and_a_long_chain_is_not(store: Store) -> None:
    def sized(text: str) -> None:
        check_size(text, complete_tree("\n".join(str(row[0]) for row in store.query(f"EXPLAIN AST {text}").rows)))

    chain = ", ".join(f"t{n} AS (SELECT * FROM t{n - 1})" for n in range(1, 60))
    sized(f"WITH t0 AS (SELECT 1 AS a), {chain} SELECT * FROM t59")
    doubling = ", ".join(f"t{n} AS (SELECT * FROM t{n - 1} UNION ALL SELECT * FROM t{n - 1})" for n in range(1, 12))
    with pytest.raises(QueryError, match="name each other"):
        sized(f"WITH t0 AS (SELECT 1 AS a), {doubling} SELECT * FROM t11")


@pytest.fixture(scope="module")
def mixed(store: Store) -> tuple[str, str]:
    """A project where one name has scores of calls (1.0, five), of traces (0.0, three) and of conversations (0.5, two)."""
    project, metric = uuid.uuid4().hex, f"paged-{uuid.uuid4().hex}"
    about = {
        "project": project,
        "name": metric,
        "service": "shop",
        "source": "code",
        "prompt_name": "answer",
        "prompt_version": "v1",
    }
    rows: list[dict[str, Any]] = []
    for unit, score, n in (("span", 1.0, 5), ("trace", 0.0, 5), ("conversation", 0.5, 5)):
        for at in range(n):
            trace, conversation = f"{at:032x}", f"c-{at}"
            ids = {
                "span": {"trace_id": trace, "span_id": f"{at:016x}"},
                "trace": {"trace_id": trace},
                "conversation": {"conversation_id": conversation},
            }
            rows.append(
                {
                    **about,
                    **ids[unit],
                    "unit": unit,
                    "score": score,
                    "span_time": UNTIL,
                    "evaluation_id": str(uuid.uuid4()),
                }
            )
    store.insert("evaluations", rows)
    spans = [
        {
            "project": project,
            "trace_id": f"{at:032x}",
            "span_id": f"{at:016x}",
            "start_time": UNTIL,
            "conversation_id": f"c-{at}",
            "service": "shop",
            "attributes": {"region": "eu"},
            "role": "call",
            "prompt_name": "answer",
            "prompt_version": "v1",
        }
        for at in range(5)
    ]
    store.insert("spans", spans)
    return project, metric


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "score_trend",
        "score_slices",
        "score_histogram",
        "score_names",
        "overview_scores",
        "prompt_scores",
        "explore_scores",
    ],
)
def test_no_page_mixes_calls_traces_and_conversations_in_one_mean(
    store: Store, mixed: tuple[str, str], name: str
) -> None:
    project, metric = mixed
    means = {"span": 1.0, "trace": 0.0, "conversation": 0.5}
    period: dict[str, Any] = {"project": project, "start": "2000-01-01 00:00:00", "end": "2100-01-01 00:00:00"}
    if name in {"score_names", "overview_scores", "prompt_scores"}:
        found = catalog.get(f"pages/{name}").run(store, **period).dicts()
        assert {(row["unit"], row["n"], row["mean"]) for row in found if row.get("late", 1)} == {
            (unit, 5, mean) for unit, mean in means.items()
        }
        return
    for unit, mean in means.items():
        if name == "score_histogram":
            bins = [row for row in _page(store, name, metric, unit, project) if row["n"]]
            assert [(row["n"], row["traces"]) for row in bins] == [(5, 5)]
            assert bins[0]["low"] <= mean <= bins[0]["high"]
        elif name == "explore_scores":
            query = catalog.get(f"pages/{name}")
            bound = query.bound(
                {
                    "name": metric,
                    "unit": unit,
                    "project": project,
                    "by_span": int(unit != "conversation"),
                    "by_turn": int(unit == "conversation"),
                }
            )
            found = store.query(query.statement(bound, {"group": "attributes['region']"}), bound).dicts()
            assert {(row["value"], row["n"], row["mean"], row["traces"]) for row in found if row["whole"]} == {
                ("eu", 5, mean, 5)
            }
        else:
            assert {(row["n"], row["mean"]) for row in _page(store, name, metric, unit, project)} == {(5, mean)}


@pytest.mark.parametrize(
    ("text", "traces", "conversations"),
    [
        ("score.{}@span=1", 5, 5), ("score.{}@span=0", 0, 0), ("score.{}@trace<0.5", 5, 5), ("score.{}@conversation=0.4..0.6", 0, 5),
        ("score.{}@trace@version=answer v1", 5, 5), ("score.{}@conversation=1", 0, 0), ("score.{}@conversation!=0.5", 5, 0), ("region=eu", 5, 5), ("region!=eu", 0, 0),
    ],
)  # fmt: skip
def test_a_filter_of_one_unit_finds_what_that_unit_judged(
    store: Store, mixed: tuple[str, str], text: str, traces: int, conversations: int
) -> None:
    project, metric = mixed
    condition = [span_conditions.parse(text.format(metric))]
    times = {"project": project, "start": "2000-01-01 00:00:00", "end": "2100-01-01 00:00:00"}
    for query, filtered, expected in (
        ("trace_count", span_conditions.trace_filter(condition), traces), ("sessions", span_conditions.conversation_filter(condition), conversations),
    ):  # fmt: skip
        named = catalog.get(f"pages/{query}")
        bound = {**named.bound(times), **filtered.parameters}
        found = store.query(named.statement(bound, {"conditions": filtered.text}), bound).dicts()
        assert (found[0]["n"] if query == "trace_count" else len(found)) == expected


def _page(store: Store, name: str, metric: str, unit: str, project: str) -> list[dict[str, Any]]:
    return catalog.get(f"pages/{name}").run(store, name=metric, unit=unit, project=project).dicts()


@pytest.mark.slow
@pytest.mark.parametrize(
    "scores", [[k / 20 for k in range(21)], [1 + k / 5 for k in range(21)], [7.0, 7.0], [0.1, 0.15, 0.2]]
)
def test_a_bin_opens_exactly_the_scores_that_it_counts(store: Store, scores: list[float]) -> None:
    project, metric = uuid.uuid4().hex, f"binned-{uuid.uuid4().hex}"
    about = {"project": project, "name": metric, "source": "code", "span_time": UNTIL}
    rows = [{**about, "trace_id": f"{at:032x}", "span_id": "s", "score": score, "evaluation_id": str(uuid.uuid4())} for at, score in enumerate(scores)]  # fmt: skip
    store.insert("evaluations", rows)
    store.insert("spans", [{"project": project, "trace_id": f"{at:032x}", "span_id": "s", "start_time": UNTIL} for at in range(len(scores))])  # fmt: skip
    bins = _page(store, "score_histogram", metric, "span", project)
    assert sum(row["n"] for row in bins) == len(scores)
    count = catalog.get("pages/trace_count")
    for row in bins:
        text = f"{row['low']!r}" if row is bins[-1] else f"{row['low']!r}..{row['high']!r}"
        condition = span_conditions.parse(f"score.{metric}{'>=' if row is bins[-1] else '='}{text}")
        filtered = span_conditions.trace_filter([condition])
        bound = {**count.bound({"project": project}), **filtered.parameters}
        assert (
            store.query(count.statement(bound, {"conditions": filtered.text}), bound).dicts()[0]["n"] == row["traces"]
        ), row


@pytest.mark.slow
def test_the_newest_conversations_read_alone_are_those_of_the_whole_list(store: Store, mixed: tuple[str, str]) -> None:
    project, _ = mixed
    query, ids = catalog.get("pages/sessions"), catalog.get("pages/session_ids")
    for skip, rows, q in ((0, 50, ""), (1, 2, ""), (3, 50, ""), (0, 50, "c-3"), (0, 50, "nobody")):
        asked = {"project": project, "rows": rows, "q": q}
        bound = query.bound({**asked, "skip": skip})
        whole = store.query(query.statement(bound), bound).dicts()
        bound = ids.bound({**asked, "skip": skip})
        listed = store.query(ids.statement(bound), bound).dicts()
        bound = query.bound(
            {**asked, "ids": [row["conversation_id"] for row in listed] or ["-"], "by_page": 1, "whole": 0}
        )
        alone = store.query(query.statement(bound), bound).dicts()
        total = listed[0]["total"] if listed else 0
        assert [{**row, "total": total} for row in alone] == whole, (skip, rows, q)
        assert len(whole) == (1 if q == "c-3" else 0 if q else min(rows, 5 - skip))
