"""Topics of inputs: learned from a good time, named online, their shares compared in SQL; with the real local model."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from evalspan.errors import UsageError
from evalspan.evaluators import InputTopic, Unscored, run_evaluator
from evalspan.evaluators import statistics as st
from evalspan.evaluators.builtin.topics import Topics, learn_topics
from evalspan.evaluators.drift.report import find_drift
from evalspan.evaluators.text.embeddings import LocalEmbedder
from evalspan.queries import catalog
from evalspan.queries.store.client import Store

UNTIL = datetime(2026, 6, 15, tzinfo=UTC)
ASKED = {
    "refund": "How do I get my money back for order {}?",
    "password": "I cannot log in, please reset the password of account {}.",
    "parcel": "Where is parcel {}, it should have arrived yesterday?",
}


class Letters:
    """An embedder of two dimensions: vowels and consonants."""

    identity = "letters 1"

    async def embed(self, texts: Any) -> list[Any]:
        vowels = [sum(text.count(letter) for letter in "aeiou") for text in texts]
        return [np.array([n, len(text) - n], np.float32) for n, text in zip(vowels, texts, strict=True)]


@pytest.mark.slow
async def test_x05_topics_of_the_real_model_tell_new_questions_apart(tmp_path: Path) -> None:
    embedder = LocalEmbedder()
    texts = [text.format(number) for text in ASKED.values() for number in range(20)]
    topics = await learn_topics(texts, embedder, count=3)
    assert len(topics.names) == 3
    topics.save(tmp_path / "topics.json")
    evaluator = InputTopic(tmp_path / "topics.json", embedder=embedder)
    labels = {}
    for kind, text in ASKED.items():
        found = {(await run_evaluator(evaluator, input=text.format(number))).label for number in range(100, 103)}
        assert len(found) == 1, kind
        labels[kind] = found.pop()
    assert len(set(labels.values())) == 3
    again = InputTopic(tmp_path / "topics.json", embedder=embedder)
    assert again.version == evaluator.version


async def test_topics_that_lie_apart_are_found_whatever_the_first_draw_was() -> None:
    class Corners:
        """Eight kinds of text, each near a corner of its own."""

        identity = "corners 1"

        async def embed(self, texts: Any) -> list[Any]:
            rng = np.random.default_rng(1)
            return [np.eye(8)[int(text.split()[0])] + rng.normal(0, 0.15, 8) for text in texts]

    texts = [f"{kind} {number}" for kind in range(8) for number in range(20)]
    for seed in range(30):
        topics = await learn_topics(texts, Corners(), count=8, seed=seed)
        assert {name.split()[0] for name in topics.names} == {str(kind) for kind in range(8)}, seed


async def test_r08_topics_of_another_model_are_refused_and_bad_input_is_unscored(tmp_path: Path) -> None:
    path = tmp_path / "topics.json"
    Topics("letters 2", ["a"], [[1.0, 0.0]], 50).save(path)
    with pytest.raises(UsageError, match="learned with letters 2"):
        InputTopic(path, embedder=Letters())
    with pytest.raises(UsageError, match="no file of topics"):
        InputTopic(tmp_path / "none.json", embedder=Letters())
    path.write_text("{}")
    with pytest.raises(UsageError, match="does not hold topics"):
        InputTopic(path, embedder=Letters())
    with pytest.raises(UsageError, match="too few to learn"):
        await learn_topics(["one", "two"] * 50, Letters())
    Topics("letters 1", ["a", "b"], [[1.0, 0.0], [0.0, 1.0]], 50).save(path)
    evaluator = InputTopic(path, embedder=Letters())
    assert (await run_evaluator(evaluator, input="aaa")).label == "01 a"
    assert (await run_evaluator(evaluator, input="xxx")).label == "02 b"
    assert (await run_evaluator(evaluator, input=" ")).unscored == "no input to find a topic in"
    assert isinstance(await evaluator.evaluate(input=None), Unscored)


def labelled(project: str, before: dict[str, int], after: dict[str, int], seed: int = 4) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        {
            "project": project,
            "evaluation_id": str(uuid.uuid4()),
            "name": "input_topic",
            "evaluator_version": "1",
            "source": "code",
            "trace_id": uuid.uuid4().hex,
            "score": 1.0,
            "label": label,
            "sample_weight": float(rng.choice([1.0, 3.0, 20.0])),
            "span_time": UNTIL - timedelta(days=day + float(rng.uniform(0, 6.9))),
        }
        for day, counts in ((7, before), (0, after))
        for label, n in counts.items()
        for _ in range(n)
    ]


@pytest.mark.slow
def test_b02_shares_of_labels_are_weighted_and_tested_as_scipy_does(store: Store) -> None:
    rows = labelled(
        "topics", {"refund": 200, "password": 150, "rare": 1}, {"refund": 90, "password": 120, "parcel": 80}
    )
    store.insert("evaluations", rows)
    (got,) = catalog.get("label_drift").run(store, project="topics", until=UNTIL.isoformat()).dicts()
    kinds = sorted({row["label"] for row in rows})
    sides = []
    for late in (False, True):
        mine = [row for row in rows if (row["span_time"] >= UNTIL - timedelta(days=7)) is late]
        weights = np.array([row["sample_weight"] for row in mine])
        shares = [sum(row["sample_weight"] for row in mine if row["label"] == kind) / weights.sum() for kind in kinds]
        sides.append((np.array(shares), float(weights.sum() ** 2 / (weights**2).sum())))
    (p, n), (q, m) = sides
    assert (got["effective_n_before"], got["effective_n_after"]) == pytest.approx((n, m), rel=1e-9)
    assert got["js_distance"] == pytest.approx(st.jensen_shannon_distance(p, q), rel=1e-9)
    filled = [np.where(side == 0, 1e-4, side) for side in (p, q)]
    psi = float(((filled[0] - filled[1]) * np.log(filled[0] / filled[1])).sum())
    assert got["psi"] == pytest.approx(psi, rel=1e-9)
    chi = stats.chi2_contingency(np.array([p * n, q * m]), correction=False)
    assert got["chi_square"] == pytest.approx(chi.statistic, rel=1e-9)
    assert got["chi_square_p"] == pytest.approx(chi.pvalue, abs=1e-9)
    assert (got["moved"], got["gained"][0][0], got["lost"][0][0]) == (1, "parcel", "refund")
    told = " ".join(find_drift(store, project="topics", until=UNTIL).inputs)
    assert "topics: more of 'parcel' (0% to" in told


def worth(rows: list[dict[str, Any]]) -> float:
    """How many independent labels they are worth, straight from the definition: 1 - sum p^2 over the variance of the shares."""
    clusters: dict[str, dict[str, float]] = {}
    for row in rows:
        one = clusters.setdefault(row["conversation_id"] or row["evaluation_id"], {})
        one[row["label"]] = one.get(row["label"], 0.0) + row["sample_weight"]
    side = sum(row["sample_weight"] for row in rows)
    kinds = {row["label"] for row in rows}
    share = {kind: sum(one.get(kind, 0.0) for one in clusters.values()) / side for kind in kinds}
    variance = sum(
        (one.get(kind, 0.0) - share[kind] * sum(one.values())) ** 2 for one in clusters.values() for kind in kinds
    )
    kish = side**2 / sum(row["sample_weight"] ** 2 for row in rows)
    return float(min(kish, (1 - sum(p * p for p in share.values())) * side**2 / variance))


def test_labels_of_one_conversation_go_together(store: Store) -> None:
    rng = np.random.default_rng(17)
    rows = labelled("topics-talks", {"a": 300, "b": 200, "c": 40}, {"a": 250, "b": 210, "c": 50})
    for late in (False, True):
        mine = [row for row in rows if (row["span_time"] >= UNTIL - timedelta(days=7)) is late]
        for row in mine:
            talk = f"{late}-{row['label'] if rng.random() < 0.7 else 'x'}-{rng.integers(12)}"
            row["conversation_id"] = "" if rng.random() < 0.2 else talk
    store.insert("evaluations", rows)
    (got,) = catalog.get("label_drift").run(store, project="topics-talks", until=UNTIL.isoformat()).dicts()
    for side, late in (("effective_n_before", False), ("effective_n_after", True)):
        mine = [row for row in rows if (row["span_time"] >= UNTIL - timedelta(days=7)) is late]
        assert got[side] == pytest.approx(worth(mine), rel=1e-9)
        assert got[side] < len(mine) / 3
    # Ten equal labels of each conversation are one.
    same = labelled("topics-same-talk", {"a": 200, "b": 200}, {"a": 180, "b": 220})
    for number, row in enumerate(
        sorted(same, key=lambda row: (row["span_time"] >= UNTIL - timedelta(days=7), row["label"]))
    ):
        row |= {"conversation_id": str(number // 10), "sample_weight": 1.0}
    store.insert("evaluations", same)
    (got,) = catalog.get("label_drift").run(store, project="topics-same-talk", until=UNTIL.isoformat()).dicts()
    assert (got["effective_n_before"], got["effective_n_after"]) == pytest.approx((40, 40), rel=1e-9)


def test_equal_shares_of_labels_one_label_and_none_are_no_drift(store: Store) -> None:
    store.insert("evaluations", labelled("topics-same", {"a": 90, "b": 60}, {"a": 90, "b": 60}))
    (got,) = catalog.get("label_drift").run(store, project="topics-same", until=UNTIL.isoformat()).dicts()
    assert got["moved"] == 0
    store.insert("evaluations", labelled("topics-one", {"a": 5}, {"a": 1}))
    for project in ("topics-one", "topics-none"):
        assert catalog.get("label_drift").run(store, project=project, until=UNTIL.isoformat()).rows == []
