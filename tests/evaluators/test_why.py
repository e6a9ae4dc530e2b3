"""Why a metric moved: the decomposition adds up and tells the truth, and the true causes come first."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from evalspan.errors import UsageError
from evalspan.evaluators.cli import why as command
from evalspan.evaluators.drift import candidates
from evalspan.evaluators.drift.candidates import rank_candidates
from evalspan.evaluators.drift.selection import Feature
from evalspan.evaluators.drift.why import decompose, explain_shift
from evalspan.evaluators.statistics.decomposition import kitagawa
from evalspan.queries.store.client import Store

from ..borrowed import Borrowed
from .worlds import CAUSES, world

UNTIL = datetime(2026, 6, 15, tzinfo=UTC)
CHANGED = UNTIL - timedelta(days=5)

# shares and means of two groups before and after, and the true parts of the difference
TRUTHS = {
    "only mix": ((0.8, 0.2), (0.4, 0.6), (4.0, 2.0), (4.0, 2.0), -0.8, 0.0),
    "only within": ((0.5, 0.5), (0.5, 0.5), (4.0, 3.0), (3.5, 3.0), 0.0, -0.25),
    "both": ((0.8, 0.2), (0.4, 0.6), (4.0, 2.0), (3.6, 1.6), -0.8, -0.4),
    # each group is better, the whole is worse
    "Simpson": ((0.8, 0.2), (0.2, 0.8), (4.0, 2.0), (4.3, 2.3), -1.2, 0.3),
}


def sample(rng: Any, n: int, shares: tuple[float, float], means: tuple[float, float]) -> Any:
    group = rng.choice(2, n, p=shares)
    return np.array(means)[group] + rng.normal(0, 1, n), [f"g{g}" for g in group], rng.choice([1.0, 4.0], n)


@pytest.mark.parametrize("case", TRUTHS)
def test_mix_and_within_add_up_and_their_intervals_cover_the_truth(case: str) -> None:
    q0, q1, m0, m1, mix, within = TRUTHS[case]
    rng = np.random.default_rng(5)
    covered = np.zeros(3)
    for _ in range(200):
        (y0, g0, w0), (y1, g1, w1) = sample(rng, 800, q0, m0), sample(rng, 500, q1, m1)
        got = kitagawa(y0, y1, g0, g1, before_weights=w0, after_weights=w1)
        assert got.mix + got.within == pytest.approx(got.difference, abs=1e-9)
        assert sum(part.effect for part in got.mix_parts) == pytest.approx(got.mix, abs=1e-9)
        assert sum(part.effect for part in got.within_parts) == pytest.approx(got.within, abs=1e-9)
        pairs = ((got.interval, mix + within), (got.mix_interval, mix), (got.within_interval, within))
        covered += [interval.low <= true <= interval.high for interval, true in pairs]
    assert (covered / 200 >= 0.95 - 3 * (0.05 * 0.95 / 200) ** 0.5).all(), covered / 200


def test_within_is_what_a_regression_with_group_dummies_says() -> None:
    rng = np.random.default_rng(6)
    (y0, g0, w0), (y1, g1, w1) = sample(rng, 400, (0.7, 0.3), (4, 2)), sample(rng, 300, (0.5, 0.5), (3.7, 1.9))
    got = kitagawa(y0, y1, g0, g1, before_weights=w0, after_weights=w1)
    slopes, shares = [], []
    for y, g, w in ((y0, g0, w0), (y1, g1, w1)):
        dummies = np.column_stack([[name == "g0" for name in g], [name == "g1" for name in g]]).astype(float)
        root = np.sqrt(w)[:, None]
        slopes.append(np.linalg.lstsq(dummies * root, y * root[:, 0], rcond=None)[0])
        shares.append((w @ dummies) / w.sum())
    within = float((shares[0] + shares[1]) / 2 @ (slopes[1] - slopes[0]))
    assert got.within == pytest.approx(within, abs=1e-9)
    assert got.mix == pytest.approx(float((shares[1] - shares[0]) @ (slopes[0] + slopes[1]) / 2), abs=1e-9)


def test_a_group_that_is_new_is_mix_and_nothing_else() -> None:
    got = kitagawa([4, 4, 4, 5], [4, 4, 5, 1], ["a"] * 4, ["a", "a", "a", "new"])
    assert got.within == pytest.approx(np.mean([4, 4, 5]) - np.mean([4, 4, 4, 5]), abs=0.2)
    assert got.mix < -0.5
    assert got.mix + got.within == pytest.approx(got.difference)


VARIANTS: dict[str, dict[str, Any]] = {
    "stars": {},
    "lower is better, and a ceiling": {"sign": 1},
    "shares, sampled": {"kind": "unit", "weighted": True},
    "pass or fail": {"kind": "binary", "scale": 1.4},
    "few scores": {"before": 800, "after": 200, "scale": 1.4},
}


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_true_causes_come_first_and_nothing_is_named_where_nothing_changed(
    variant: str, request: pytest.FixtureRequest
) -> None:
    seeds = 100 if request.config.getoption("--soak") else 4
    right = {
        story: sum(told_right(story, world(seed, story, **VARIANTS[variant])) for seed in range(seeds))
        for story in CAUSES
    }
    quiet = sum(right[story] for story, causes in CAUSES.items() if not causes)
    told = sum(right.values()) - quiet
    silent = sum(not causes for causes in CAUSES.values())
    assert quiet >= 0.95 * silent * seeds - 1, right
    assert told >= 0.9 * (len(CAUSES) - silent) * seeds, right
    if seeds == 100:
        assert all(count >= (90 if CAUSES[story] else 95) for story, count in right.items()), right


def told_right(story: str, calls: dict[str, Any]) -> bool:
    """Whether the kinds that the story should name come first, or none is named."""
    named = [one.kind for one in rank_candidates(calls, decompose(calls))]
    return set(named[: len(CAUSES[story])]) == CAUSES[story] if CAUSES[story] else not named


def test_a_prompt_that_breaks_one_segment_only_is_the_cause_and_says_where() -> None:
    calls = world(3, "prompt segment", scale=0.01)
    hurt = (calls["segment"] == "business") & (calls["is_after"] == 1)
    calls["score"] = np.where(hurt, np.maximum(calls["score"] - 1, 1), calls["score"])
    first = rank_candidates(calls, decompose(calls))[0]
    assert (first.kind, first.against) == (
        "prompt",
        "outside segment business calls with it moved less than half as much",
    )


def fill(store: Store, project: str) -> None:
    """Calls of a service whose prompt gets a greeting five days ago, with other texts filled into it each time."""
    rng = np.random.default_rng(8)
    spans, scores = [], []
    for i in range(900):
        time = UNTIL - timedelta(days=30 * (i + 0.5) / 900)
        late = time >= CHANGED
        segment = "reseller" if rng.random() < (0.3 if late else 0.1) else "private"
        text = "You answer for the shop.\nBe brief." + ("\nHo ho ho, wish merry Christmas!" if late else "")
        call = {
            "project": project,
            "trace_id": uuid.uuid4().hex,
            "span_id": uuid.uuid4().hex[:16],
            "service": "shop",
            "system_hash": "festive" if late else "plain",
            "request_model": "m",
        }
        instructions = json.dumps([{"type": "text", "content": text}])
        attributes = {"gen_ai.system_instructions": instructions}
        spans.append({**call, "start_time": time, "operation": "chat", "attributes": attributes})
        level = 4.2 - 0.6 * late - 1.0 * (segment == "reseller")
        scores.append(
            {
                **call,
                "evaluation_id": str(uuid.uuid4()),
                "name": "persona",
                "evaluator_version": "1",
                "source": "llm_judge",
                "segment": segment,
                "score": float(rng.normal(level, 0.7)),
                "span_time": time,
            }
        )
    store.insert("spans", spans)
    store.insert("evaluations", scores)


@pytest.mark.slow
def test_why_names_the_edit_with_its_diff_and_traces(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, "why-story")
    found = explain_shift(store, "persona", project="why-story", until=UNTIL)
    assert abs(found.since - CHANGED) <= timedelta(hours=12)
    assert found.difference < -0.5
    assert found.mix.effect + found.within.effect == pytest.approx(found.difference)
    assert found.within.effect < found.mix.effect < 0
    first = found.candidates[0]
    assert (first.kind, first.value) == ("prompt", "festive")
    assert {one.kind for one in found.candidates} == {"prompt", "segment"}
    assert "+Ho ho ho, wish merry Christmas!" in found.prompt_diff
    assert len(found.traces) == 3
    monkeypatch.setattr(command, "connect", lambda _: Borrowed(store))
    arguments = ["persona", "--project", "why-story", "--until", f"{UNTIL:%Y-%m-%d}"]
    done = CliRunner().invoke(command.why, [*arguments, "--format", "json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    wanted = "metric since before after difference interval mix within candidates prompt_diff traces".split()
    assert set(wanted) <= set(told)
    assert set(told["mix"]) == set(told["within"]) == {"effect", "interval", "parts"}
    assert {"kind", "value", "share", "p"} <= set(told["candidates"][0])
    shown = CliRunner().invoke(command.why, arguments)
    assert "1. prompt festive" in shown.stdout
    assert CliRunner().invoke(command.why, ["personna", "--project", "why-story"]).exit_code != 0


def test_a_version_is_named_with_its_prompt_where_any_span_of_the_call_says_it() -> None:
    calls = {"version": np.array(["2\nanswer 2"] * 10 + ["1\nanswer 1"] * 10)}
    feature = Feature("prompt", "6fb94b53", "prompt", np.array([1.0] * 10 + [0.0] * 10), 0.0, 1.0)
    assert candidates._version_of(calls, feature) == "answer 2"


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["error_rate", "nothing-of-the-kind"])
def test_a_metric_without_calls_or_scores_is_refused_with_what_is_missing(store: Store, metric: str) -> None:
    with pytest.raises(UsageError, match=r"0 scores before|No score is named"):
        explain_shift(store, metric, project="why-empty", until=UNTIL)
