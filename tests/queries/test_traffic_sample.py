"""A sample of stored traffic: its weights add up to the traffic, strata get their share, duplicates keep their weight."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from evalspan.errors import QueryError, UsageError
from evalspan.queries.traffic_sample import allocate, sample_traffic

if TYPE_CHECKING:
    from evalspan.queries.store.client import Store

TOPICS = ["pricing", "billing", "login", "export", "colors", "teams", "api", "mobile", "sso", "audit"]


@pytest.fixture(scope="module")
def project(store: Store) -> str:
    """400 spans: 300 of one model kept one in two, 100 of another kept all; 20 errors that must not be drawn."""
    name = f"sample-{uuid4().hex[:8]}"
    rows: list[dict[str, Any]] = []
    for number in range(420):
        question = f"{uuid4().hex} asks {number} about {TOPICS[number % 10]} {uuid4().hex}"
        rows.append(
            {
                "project": name,
                "trace_id": uuid4().hex,
                "span_id": uuid4().hex[:16],
                "start_time": datetime.now(UTC) - timedelta(hours=1),
                "operation": "chat",
                "request_model": "common" if number < 300 else "rare",
                "sample_weight": 2.0 if number < 300 else 1.0,
                "status": "ERROR" if number >= 400 else "OK",
                "input": json.dumps([{"role": "user", "parts": [{"type": "text", "content": question}]}]),
            }
        )
    store.insert("spans", rows)
    return name


def draw(store: Store, project: str, **options: Any) -> list[dict[str, Any]]:
    return sample_traffic(store, size=options.pop("size", 70), since=timedelta(days=1), project=project, **options)


def test_d09_weights_stand_for_the_traffic_that_was_sampled_away(store: Store, project: str) -> None:
    cases = draw(store, project, by="request_model")
    weights: dict[str, float] = {}
    for case in cases:
        about = case["metadata"]
        weights[about["stratum"]] = weights.get(about["stratum"], 0) + about["sample_weight"]
    assert weights == pytest.approx({"common": 600, "rare": 100})
    assert {name: sum(one["metadata"]["stratum"] == name for one in cases) for name in weights} == {
        "common": 60,
        "rare": 10,
    }


def test_a_draw_is_repeatable_and_another_seed_draws_others(store: Store, project: str) -> None:
    first, again, other = (draw(store, project, seed=seed) for seed in (1, 1, 2))
    assert [one["id"] for one in first] == [one["id"] for one in again]
    assert {one["id"] for one in first} != {one["id"] for one in other}


def test_near_duplicates_are_merged_and_keep_their_weight(store: Store) -> None:
    name = f"same-{uuid4().hex[:8]}"
    store.insert(
        "spans",
        [
            {
                "project": name,
                "trace_id": uuid4().hex,
                "span_id": uuid4().hex[:16],
                "start_time": datetime.now(UTC),
                "operation": "chat",
                "input": json.dumps([{"role": "user", "parts": [{"type": "text", "content": "How much is Pro?"}]}]),
            }
            for _ in range(5)
        ],
    )
    (case,) = draw(store, name)
    assert case["metadata"]["sample_weight"] == 5
    assert case["input"]["question"] == "How much is Pro?"


def test_where_and_by_are_checked(store: Store, project: str) -> None:
    assert draw(store, project, where="request_model = 'nobody'") == []
    with pytest.raises(QueryError, match="sample"):
        draw(store, project, where="modle = 'x'")
    with pytest.raises(UsageError, match="stratify"):
        draw(store, project, by="input; DROP TABLE spans")


def test_shares_add_up_to_the_size_and_no_stratum_is_left_out() -> None:
    assert allocate({"a": (1000, 990.0), "b": (1000, 9.0), "c": (3, 1.0)}, 100) == {"a": 98, "b": 1, "c": 1}
    assert allocate({"a": (5, 5.0)}, 100) == {"a": 5}
    assert allocate({}, 100) == {}
