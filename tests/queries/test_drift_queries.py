"""The drift queries against the Python statistics, on random and on corner data, in a real engine."""

from __future__ import annotations

import math
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy import stats

from evalspan.errors import QueryError
from evalspan.evaluators import statistics as st
from evalspan.queries import catalog
from evalspan.queries.store.client import Store

UNTIL = datetime(2026, 6, 15, tzinfo=UTC)
DAY = 86400


def row(project: str, day: float, score: float | None, *, metric: str = "m", **more: Any) -> dict[str, Any]:
    """One evaluation, `day` days before UNTIL."""
    return {
        "project": project,
        "evaluation_id": str(uuid.uuid4()),
        "name": metric,
        "evaluator_version": "1",
        "source": "code",
        "trace_id": uuid.uuid4().hex,
        "span_id": uuid.uuid4().hex[:16],
        "score": score,
        "span_time": UNTIL - timedelta(days=day),
        **more,
    }


def ask(store: Store, name: str, project: str, **parameters: Any) -> list[dict[str, Any]]:
    return catalog.get(name).run(store, project=project, until=UNTIL.isoformat(), **parameters).dicts()


def errors(y: ArrayLike, w: ArrayLike) -> tuple[float, float]:
    """The weighted mean and its standard error, written down once more."""
    a, b = np.array(y), np.array(w)
    mean = float((a * b).sum() / b.sum())
    n = len(a)
    return mean, math.sqrt(float(((b * (a - mean)) ** 2).sum()) * n / (n - 1)) / float(b.sum())


def weighted_rows(project: str, drop: float = 0.0, seed: int = 1, n: int = 900) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    days = rng.uniform(0.01, 14, n)
    scores = rng.choice(np.arange(1.0, 6), p=[0.03, 0.07, 0.15, 0.45, 0.3], size=n) - drop * (days < 4)
    weights = rng.choice([1.0, 4.0, 20.0], size=n)
    return [
        row(project, day, float(score), sample_weight=float(weight), system_hash="new" if day < 4 else "old")
        for day, score, weight in zip(days, scores, weights, strict=True)
    ]


def oracle(got: list[dict[str, Any]], direction: str, *, alpha: float = 0.05, horizon: int = 100) -> st.EDetector:
    """The Python e-detector on the moments that the query answers."""
    first = got[0]
    return st.e_detector(
        [r["mean"] for r in got],
        [r["standard_error"] for r in got],
        first["baseline_mean"],
        alpha=alpha,
        horizon=horizon,
        direction=direction,
        baseline_error=first["baseline_error"],
        shift_unit=first["shift_unit"],
        third_moments=[r[f"skew_{direction}"] for r in got],
        baseline_third_moment=first[f"baseline_skew_{direction}"],
        calibrated=True,
        baseline_n=first["baseline_effective_n"],
    )


@pytest.mark.slow
@pytest.mark.parametrize("drop", [0.0, 1.0, -0.5])
def test_e_detector_in_sql_equals_the_python_one(store: Store, drop: float) -> None:
    project = f"ed-random-{drop}"
    store.insert("evaluations", weighted_rows(project, drop=drop))
    for direction in ("decrease", "increase"):
        got = ask(store, "e_detector", project, direction=direction, horizon=7)
        want = oracle(got, direction, horizon=7)
        assert [r[direction] for r in got] == pytest.approx(want.statistic, rel=1e-9)
        assert got[0]["threshold"] == pytest.approx(want.threshold, rel=1e-12)
        alarmed = [i for i, r in enumerate(got) if r["alarm"]]
        assert (alarmed[0] if alarmed else None) == want.alarm
        if direction == ("decrease" if drop > 0 else "increase") and drop:
            assert got[-1]["since"] == UNTIL - timedelta(days=4)
            assert (got[-1]["mean_since"] < got[-1]["mean_before"]) == (drop > 0)
            assert got[-1]["difference_low"] < -drop < got[-1]["difference_high"]


@pytest.mark.slow
def test_e_detector_windows_hold_the_weighted_moments(store: Store) -> None:
    rows = weighted_rows("ed-moments", seed=2)
    store.insert("evaluations", rows)
    got = ask(store, "e_detector", "ed-moments")
    days: dict[int, list[dict[str, Any]]] = {}
    for r in rows:
        days.setdefault(int((UNTIL - r["span_time"]).total_seconds() // DAY), []).append(r)
    parts = {k: moments(days[k]) for k in range(14)}
    before = [r for r in rows if r["span_time"] < UNTIL - timedelta(days=7)]
    y, w = np.array([r["score"] for r in before]), np.array([r["sample_weight"] for r in before])
    base = float((w * y).sum() / w.sum())
    reference = [parts[k] for k in range(7, 14)]
    freedom, squares = sum(p["freedom"] for p in reference), sum(p["freedom"] * p["variance"] for p in reference)
    cubes, worth = sum(p["freedom"] * p["moment"] for p in reference), sum(p["n"] for p in reference)
    between = sum(p["n"] * (p["mean"] - base) ** 2 for p in reference) / 6
    typical = (worth - sum(p["n"] ** 2 for p in reference) / worth) / 6
    real = between > squares / freedom * (1 + 1.5 * math.sqrt(2 / 6))
    shared = (between - squares / freedom) / typical if real else 0.0
    low, high = float(y.min()), float(y.max())
    assert got[0]["baseline_mean"] == pytest.approx(base, rel=1e-12)
    for k, r in zip(range(6, -1, -1), got, strict=True):
        part = parts[k]
        freedom, squares = freedom + part["freedom"], squares + part["freedom"] * part["variance"]
        cubes, low, high = cubes + part["freedom"] * part["moment"], min(low, part["low"]), max(high, part["high"])
        farthest = max(base - low, high - base)
        variance = (squares + 0.5 * farthest**2) / (freedom + 0.5)
        skew = (cubes - 0.5 * (base - low) ** 3) / (freedom + 0.5) * part["share"]
        assert (r["n"], r["mean"], r["effective_n"]) == (
            len(days[k]), pytest.approx(part["mean"]), pytest.approx(part["n"]),
        )  # fmt: skip
        assert r["standard_error"] == pytest.approx(math.sqrt(variance / part["n"] + shared), rel=1e-9)
        assert r["skew_decrease"] == pytest.approx(skew, rel=1e-9)
    first = squares_of_reference(reference, got[0], parts[6], base, y)
    error = math.sqrt(
        first * float((w**2).sum()) / float(w.sum()) ** 2
        + shared * sum(p["total"] ** 2 for p in reference) / sum(p["total"] for p in reference) ** 2
    )
    assert got[0]["baseline_error"] == pytest.approx(error, rel=1e-9)
    assert got[0]["baseline_low"] == pytest.approx(base - stats.norm.isf(0.025) * error, rel=1e-9)


def squares_of_reference(
    reference: list[dict[str, float]], got: dict[str, Any], part: dict[str, float], base: float, y: Any
) -> float:
    """The variance of a score as of the first watched window, from reference and that window."""
    freedom = sum(p["freedom"] for p in reference) + part["freedom"]
    squares = sum(p["freedom"] * p["variance"] for p in reference) + part["freedom"] * part["variance"]
    farthest = max(base - min(y.min(), part["low"]), max(y.max(), part["high"]) - base)
    assert got["position"] == 1
    return float((squares + 0.5 * farthest**2) / (freedom + 0.5))


def moments(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The weighted moments of a window, written down once more."""
    y, w = (np.array([r[name] for r in rows]) for name in ("score", "sample_weight"))
    n, mean = len(y), float((w * y).sum() / w.sum())
    worth = float(w.sum() ** 2 / (w**2).sum())
    return {
        "mean": mean,
        "n": worth,
        "freedom": worth - 1,
        "variance": float(((w * (y - mean)) ** 2).sum() / (w**2).sum()) * n / (n - 1),
        "moment": float(((w * (y - mean)) ** 3).sum() / (w**3).sum()) * n / (n - 2),
        "share": float((w**3).sum() / w.sum() ** 3),
        "total": float(w.sum()),
        "low": float(y.min()),
        "high": float(y.max()),
    }


@pytest.mark.slow
def test_e_detector_corners(store: Store) -> None:
    constant = [row("ed-corner", d + i / 50, 1.0, metric="constant") for d in range(14) for i in range(1, 20)]
    broken = [row("ed-corner", d + i / 50, float(d >= 3), metric="broken") for d in range(14) for i in range(1, 20)]
    one = [row("ed-corner", 0.5, 3.0, metric="one")]
    unscored = [row("ed-corner", d + 0.5, None, metric="unscored", error="judge is down") for d in range(14)]
    passes = [
        row("ed-corner", d + i / 50, None, metric="verdict", passed="pass" if i % 2 else "fail")
        for d in range(14)
        for i in range(1, 21)
    ]
    store.insert("evaluations", constant + broken + one + unscored + passes)
    got = ask(store, "e_detector", "ed-corner")
    by = {
        name: [r for r in got if r["metric"] == name] for name in ("constant", "broken", "one", "unscored", "verdict")
    }
    assert {r["alarm"] for r in by["constant"]} == {""}
    assert by["broken"][-1]["alarm"] == "decrease"
    assert by["broken"][-1]["since"] == UNTIL - timedelta(days=3)
    assert not by["one"]
    assert not by["unscored"]
    assert {r["mean"] for r in by["verdict"]} == {0.5}
    assert all(math.isfinite(r[key]) for r in got for key in ("statistic", "mean", "standard_error"))


def test_j14_a_new_evaluator_version_starts_anew(store: Store) -> None:
    rows = [row("ed-version", d + i / 50, 5.0 if d >= 5 else 1.0, evaluator_version="2" if d < 5 else "1") for d in range(14) for i in range(1, 20)]  # fmt: skip
    store.insert("evaluations", rows)
    assert ask(store, "e_detector", "ed-version") == []
    (volume,) = ask(store, "score_volume", "ed-version")
    assert (volume["evaluator_version"], volume["other_versions"], volume["n_before"]) == ("2", ["1"], 0)


@pytest.mark.slow
def test_same_hour_baseline_does_not_take_the_night_for_drift(store: Store) -> None:
    rng = np.random.default_rng(5)
    rows = []
    for hour in range(14 * 24):
        night = (24 - hour % 24) % 24 < 12
        rows += [row("ed-hours", (hour + u) / 24, float(rng.normal(2 if night else 4, 0.5))) for u in rng.random(12)]
    store.insert("evaluations", rows)
    plain = ask(store, "e_detector", "ed-hours", window_s=12 * 3600, since_s=int(3.5 * DAY))
    level = ask(store, "e_detector", "ed-hours", window_s=12 * 3600, since_s=int(3.5 * DAY), same_hour=1)
    assert max(r["standard_error"] for r in level) < min(r["standard_error"] for r in plain) / 3
    assert {r["alarm"] for r in level} == {""}


def test_b13_before_after_equals_detect_regression_and_scipy_also_by_ranks(store: Store) -> None:
    rng = np.random.default_rng(6)
    cases = {"worse": -1.0, "same": 0.0, "slightly": -0.15, "better": 1.0}
    samples = {}
    for name, shift in cases.items():
        old, new = rng.integers(1, 6, 300).astype(float), rng.integers(1, 6, 220) + shift
        samples[name] = (old, new)
        rows = [row("ba-random", 5, float(v), metric=name, system_hash="old") for v in old]
        rows += [row("ba-random", 2, float(v), metric=name, system_hash="new") for v in new]
        store.insert("evaluations", rows)
    got = {r["metric"]: r for r in ask(store, "before_after", "ba-random", after="new")}
    for name, (old, new) in samples.items():
        want = st.detect_regression(old, new)
        assert want.interval is not None
        r = got[name]
        assert (r["conclusion"], r["recommendation"]) == (want.conclusion, want.recommendation)
        assert (r["low"], r["high"]) == pytest.approx(want.interval, abs=1e-9)
        assert r["p"] == pytest.approx(want.p, abs=1e-9)
        assert r["df"] == pytest.approx(st.welch_test(new, old).degrees_of_freedom, rel=1e-9)
        ranks = stats.mannwhitneyu(new, old, method="asymptotic")
        assert r["rank_p"] == pytest.approx(ranks.pvalue, abs=1e-9)
        assert r["superiority"] == pytest.approx(ranks.statistic / (len(old) * len(new)), rel=1e-9)


def test_b02_before_after_is_weighted(store: Store) -> None:
    rows = weighted_rows("ba-weighted", drop=0.4, seed=11)
    store.insert("evaluations", rows)
    (got,) = ask(store, "before_after", "ba-weighted", after="new")
    sides = [[r for r in rows if r["system_hash"] == side] for side in ("new", "old")]
    y, w = ([np.array([r[key] for r in side]) for side in sides] for key in ("score", "sample_weight"))
    (new, new_error), (old, old_error) = (errors(y[i], w[i]) for i in (0, 1))
    assert (got["mean_after"], got["mean_before"]) == pytest.approx((new, old), rel=1e-12)
    assert got["standard_error"] == pytest.approx(math.hypot(new_error, old_error), rel=1e-9)
    assert got["p"] == pytest.approx(
        2 * stats.t.sf(abs(got["difference"] / got["standard_error"]), got["df"]), abs=1e-9
    )
    higher = np.outer(w[0], w[1]) * ((y[0][:, None] > y[1][None, :]) + (y[0][:, None] == y[1][None, :]) / 2)
    assert got["superiority"] == pytest.approx(float(higher.sum() / (w[0].sum() * w[1].sum())), rel=1e-9)


@pytest.mark.slow
def test_b12_before_after_corners(store: Store) -> None:
    pairs = {"constants": ([4.0] * 12, [3.0] * 12), "few": ([1.0, 2.0], [3.0, 4.0]), "equal": ([2.0] * 10, [2.0] * 10)}
    for name, (old, new) in pairs.items():
        rows = [row("ba-corner", 5, v, metric=name, system_hash="old") for v in old]
        rows += [row("ba-corner", 2, v, metric=name, system_hash="new") for v in new]
        store.insert("evaluations", rows)
    got = {r["metric"]: r for r in ask(store, "before_after", "ba-corner", after="new")}
    for name, (old, new) in pairs.items():
        assert got[name]["conclusion"] == st.detect_regression(old, new).conclusion
        assert got[name]["p"] == pytest.approx(st.welch_test(new, old).p, abs=1e-9)
    assert ask(store, "before_after", "ba-corner", after="never seen") == []
    with pytest.raises(QueryError, match="by must be"):
        ask(store, "before_after", "ba-corner", by="colour")


def test_a04_segments_are_tested_together_and_the_broken_one_is_found(store: Store) -> None:
    rng = np.random.default_rng(7)
    rows = []
    for i in range(4000):
        segment = f"s{i % 20}"
        day = float(rng.uniform(0.01, 14))
        mean = 1.0 if segment == "s3" and day < 7 else 3.0
        rows.append(
            row("seg", day, float(rng.normal(mean, 1)), segment=segment, sample_weight=float(rng.choice([1, 5])))
        )
    store.insert("evaluations", rows)
    got = ask(store, "segments", "seg")
    assert [r["value"] for r in got if r["moved"]] == ["s3"]
    assert [bool(r["moved"]) for r in got] == st.benjamini_hochberg([r["p"] for r in got], 0.05)
    adjusted = stats.false_discovery_control([r["p"] for r in got])
    assert [r["p_adjusted"] for r in got] == pytest.approx(adjusted.tolist(), abs=1e-9)
    for r in got:
        sides = [
            errors([x["score"] for x in side], [x["sample_weight"] for x in side])
            for side in (
                [x for x in rows if x["segment"] == r["value"] and x["span_time"] >= UNTIL - timedelta(days=7)],
                [x for x in rows if x["segment"] == r["value"] and x["span_time"] < UNTIL - timedelta(days=7)],
            )
        ]
        difference = sides[0][0] - sides[1][0]
        error = math.hypot(sides[0][1], sides[1][1])
        assert (r["difference"], r["standard_error"]) == pytest.approx((difference, error), rel=1e-9)
        assert r["p"] == pytest.approx(2 * stats.norm.sf(abs(difference / error)), abs=1e-9)


def test_a_new_value_is_held_against_all_scores_before(store: Store) -> None:
    rows = weighted_rows("seg-new", drop=1.0, seed=9)
    for one in rows:
        one["system_hash"] = "new" if one["span_time"] > UNTIL - timedelta(days=7) else f"old{one['score'] > 3}"
    store.insert("evaluations", rows)
    (got,) = ask(store, "segments", "seg-new", by="system_hash")
    sides = [[r for r in rows if (r["system_hash"] == "new") is late] for late in (True, False)]
    after, before = (errors([r["score"] for r in s], [r["sample_weight"] for r in s]) for s in sides)
    assert (got["value"], got["is_new"], got["moved"], got["n_before"]) == ("new", 1, 1, len(sides[1]))
    assert got["mean_before"] == pytest.approx(before[0], rel=1e-9)
    assert got["standard_error"] == pytest.approx(math.hypot(after[1], before[1]), rel=1e-9)


def calls_of(project: str, count: int, **columns: Any) -> list[dict[str, Any]]:
    """Calls over two weeks, newest first; every other one stands for twenty. A column may be a function of the number."""
    return [
        {
            "project": project,
            "trace_id": uuid.uuid4().hex,
            "span_id": uuid.uuid4().hex[:16],
            "start_time": UNTIL - timedelta(days=14 * (i + 0.5) / count),
            "operation": "chat",
            "request_model": "m-1",
            "sample_weight": 20.0 if i % 2 else 1.0,
            **{name: value(i) if callable(value) else value for name, value in columns.items()},
        }
        for i in range(count)
    ]


def test_a01_a_prompt_edit_is_named_with_when_and_what_it_replaced(store: Store) -> None:
    spans = calls_of("changes", 400, system_hash=lambda i: "edited" if i < 100 else "plain")
    store.insert("spans", spans)
    new, old = ask(store, "changes", "changes")
    assert (new["dimension"], new["value"], new["previous"], new["is_new"]) == ("system_hash", "edited", "plain", 1)
    assert new["first_seen"] == min(s["start_time"] for s in spans if s["system_hash"] == "edited")
    assert (new["share_before"], new["share_after"]) == pytest.approx((0.0, 0.5))
    assert (old["value"], old["is_new"]) == ("plain", 0)


@pytest.mark.slow
def test_a01_b13_an_edit_in_a_service_of_a_hundredth_of_the_calls_is_named_with_its_own_earlier_prompt(
    store: Store,
) -> None:
    store.insert("spans", calls_of("small", 8000, service="large", system_hash="of the large one"))
    edited = calls_of("small", 80, service="tiny", system_hash=lambda i: "edited" if i < 20 else "plain")
    store.insert("spans", edited)
    new, old = ask(store, "changes", "small")
    assert (new["value"], new["previous"], new["is_new"]) == ("edited", "plain", 1)
    assert (new["share_before"], new["share_after"]) == pytest.approx((0.0, 0.5))
    weights = [
        np.array([s["sample_weight"] for s in edited if (s["start_time"] >= UNTIL - timedelta(days=7)) is late])
        for late in (False, True)
    ]
    n_before, n_after = (w.sum() ** 2 / (w**2).sum() for w in weights)
    pooled = (1.0 * n_before + 0.5 * n_after) / (n_before + n_after)
    z = 0.5 / math.sqrt(pooled * (1 - pooled) * (1 / n_before + 1 / n_after))
    assert old["value"] == "plain"
    assert old["p"] == pytest.approx(math.erfc(z / math.sqrt(2)), rel=1e-9)


@pytest.mark.slow
def test_b13_a_prompt_of_a_service_that_is_new_itself_is_new_with_numbers_that_are_numbers(store: Store) -> None:
    store.insert("spans", calls_of("newcomer", 400, service="old", system_hash="plain"))
    store.insert("spans", calls_of("newcomer", 400, service="young", system_hash="fresh")[:100])
    found = {(row["dimension"], row["value"]): row for row in ask(store, "changes", "newcomer")}
    assert (found["service", "young"]["is_new"], found["service", "young"]["previous"]) == (1, "old")
    prompt = found["system_hash", "fresh"]
    assert (prompt["is_new"], prompt["previous"], prompt["share_before"], prompt["share_after"]) == (1, "", 0.0, 1.0)
    assert (prompt["pooled"], prompt["p"]) == (1.0, 1.0)


@pytest.mark.slow
def test_b13_a_model_that_several_services_use_has_its_share_of_all_their_calls(store: Store) -> None:
    for service, new_from in (("a", 100), ("b", 0)):
        rows = calls_of("shared", 400, service=service, request_model=lambda i, n=new_from: "m-2" if i < n else "m-1")
        store.insert("spans", rows)
    found = {row["value"]: row for row in ask(store, "changes", "shared")}
    assert (found["m-2"]["share_after"], found["m-2"]["is_new"]) == (pytest.approx(0.5), 1)
    assert found["m-1"]["share_after"] == pytest.approx(0.75)


def test_b13_a_prompt_that_is_another_one_in_every_call_is_no_edit(store: Store) -> None:
    store.insert("spans", calls_of("dynamic", 40, service="tiny", system_hash=lambda i: f"hash-{i}"))
    assert ask(store, "changes", "dynamic") == []


@pytest.mark.slow
def test_the_value_before_a_prompt_version_or_fingerprint_is_of_the_same_prompt_and_place(store: Store) -> None:
    """The planner of the same service is asked more often than the answering prompt, and is not its predecessor."""
    spans = []
    for at in range(300):
        version = "v1" if at >= 200 else "v2" if at >= 100 else "v3"
        edited = calls_of("places", 1, system_hash=f"answer-{version}")[0]
        planner = calls_of("places", 1, system_hash="planner")[0]
        start = UNTIL - timedelta(hours=at + 1)
        ids = ({"trace_id": f"{at:031x}{n}", "span_id": f"{at:015x}{n}"} for n in (1, 2))
        spans.append({**edited, **next(ids), "start_time": start, "prompt_name": "answer", "prompt_version": version})
        spans.append({**planner, **next(ids), "start_time": start, "prompt_name": "plan", "prompt_version": "v9"})
    store.insert("spans", spans)
    found = ask(store, "changes", "places", since_s=5 * DAY, baseline_s=9 * DAY)
    previous = {(row["dimension"], row["value"]): row["previous"] for row in found}
    assert previous["prompt_version", "answer@v3"] == "answer@v2"
    assert previous["system_hash", "answer-v3"] == "answer-v2"
