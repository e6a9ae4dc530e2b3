"""Trends, bands, charts, input drift and agreement in SQL against numpy, scipy and the Python statistics."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from evalspan.evaluators import statistics as st
from evalspan.queries import catalog
from evalspan.queries.store.client import Store

UNTIL = datetime(2026, 6, 15, tzinfo=UTC)


def ask(store: Store, name: str, project: str, **parameters: Any) -> list[dict[str, Any]]:
    return catalog.get(name).run(store, project=project, until=UNTIL.isoformat(), **parameters).dicts()


def evaluation(project: str, day: float, score: float | None, **more: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "project": project,
        "evaluation_id": str(uuid.uuid4()),
        "name": "m",
        "evaluator_version": "1",
        "source": "code",
        "trace_id": uuid.uuid4().hex,
        "span_id": uuid.uuid4().hex[:16],
        "score": score,
        "span_time": UNTIL - timedelta(days=day),
        "created_at": UNTIL - timedelta(days=day) + timedelta(minutes=1),
    }
    return row | more


def call(project: str, day: float, text: str = "hello", **more: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "project": project,
        "trace_id": uuid.uuid4().hex,
        "span_id": uuid.uuid4().hex[:16],
        "start_time": UNTIL - timedelta(days=day),
        "ingested_at": UNTIL - timedelta(days=day),
        "operation": "chat",
        "request_model": "m-1",
        "input": json.dumps([{"role": "user", "parts": [{"type": "text", "content": text}]}]),
    }
    return row | more


@pytest.mark.parametrize("name", catalog.names())
def test_every_query_has_a_header_that_is_true(store: Store, name: str) -> None:
    query = catalog.get(name)
    fitting = {"Float64": 1.0, "since": UNTIL.isoformat(), "until": UNTIL.isoformat()}
    required: dict[str, Any] = {
        p.name: fitting.get(p.name, fitting.get(p.type, "x")) for p in query.parameters if p.default is None
    }
    if any(p.name == "project" for p in query.parameters):
        required["project"] = "nobody"
    result = query.run(store, **required)
    assert query.title
    assert query.answers
    named = [column.name for column in query.columns]
    assert not result.columns or named == ["rows"] or result.columns == named


def test_p06_b02_b13_b16_score_trend_is_weighted_and_counts_what_is_unscored(store: Store) -> None:
    rng = np.random.default_rng(1)
    rows = []
    for i in range(400):
        unscored = i % 10 == 0
        rows.append(
            evaluation(
                "trend",
                float(rng.uniform(0.01, 2)),
                None if unscored else float(rng.integers(1, 6)),
                passed="unknown" if unscored else str(rng.choice(["pass", "fail"])),
                error="judge timed out" if unscored else "",
                sample_weight=float(rng.choice([1.0, 2.5, 20.0])),
            )
        )
    store.insert("evaluations", rows)
    got = ask(store, "score_trend", "trend")
    assert len(got) == 2
    for window in got:
        mine = [
            r for r in rows if window["window_start"] <= r["span_time"] < window["window_start"] + timedelta(days=1)
        ]
        scored = [r for r in mine if r["score"] is not None]
        y = np.array([r["score"] for r in scored])
        w = np.array([r["sample_weight"] for r in scored])
        drawn = st.weighted_mean(y, 1 / w)
        assert (window["n"], window["evaluations"]) == (len(scored), len(mine))
        assert window["mean"] == pytest.approx(drawn.mean, rel=1e-9)
        assert window["effective_n"] == pytest.approx(drawn.effective_n, rel=1e-9)
        assert window["sampling_error"] == pytest.approx(drawn.standard_error, rel=1e-9)
        error = np.sqrt(((w * (y - drawn.mean)) ** 2).sum() * len(y) / (len(y) - 1)) / w.sum()
        assert window["standard_error"] == pytest.approx(error, rel=1e-9)
        rate = w[[r["passed"] == "pass" for r in scored]].sum() / w.sum()
        interval = st.proportion_interval(rate * drawn.effective_n, drawn.effective_n)
        assert (window["pass_low"], window["pass_high"]) == pytest.approx(interval, abs=1e-9)
        lost = sum(r["sample_weight"] for r in mine if r["score"] is None) / sum(r["sample_weight"] for r in mine)
        assert window["share_unscored"] == pytest.approx(lost, rel=1e-9)
        assert window["unscored_reason"] == "judge timed out"
        order = np.argsort(y, kind="stable")
        assert window["p10"] == y[order][np.searchsorted(np.cumsum(w[order]), 0.1 * w.sum())]


def test_a07_a_metric_is_a_time_series_by_prompt_version_and_model_and_joins_temperature_and_context_length(
    store: Store,
) -> None:
    spans, rows = [], []
    for day, version, temperature, length in (
        (2.5, "v7", "0.2", 900),
        (1.5, "v7", "0.2", 1100),
        (0.5, "v8", "0.9", 4000),
    ):
        span = call("trend-of", day, prompt_version=version, attributes={"gen_ai.request.temperature": temperature}, input_tokens=length)  # fmt: skip
        same = {key: span[key] for key in ("trace_id", "span_id", "prompt_version", "request_model")}
        spans.append(span)
        rows.append(evaluation("trend-of", day, 5.0 if version == "v7" else 2.0, **same))
    store.insert("spans", spans)
    store.insert("evaluations", rows)
    by_version = ask(store, "score_trend", "trend-of", by="prompt_version")
    assert [(r["value"], r["mean"]) for r in by_version] == [("v7", 5.0), ("v7", 5.0), ("v8", 2.0)]
    assert len({r["window_start"] for r in by_version}) == 3
    assert {r["value"] for r in ask(store, "score_trend", "trend-of", by="request_model")} == {"m-1"}
    joined = store.query(
        "SELECT e.span_time, e.score, attributes['gen_ai.request.temperature'], input_tokens FROM evaluations AS e "
        "INNER JOIN spans AS s USING (project, trace_id, span_id) WHERE project = 'trend-of' ORDER BY e.span_time"
    ).rows
    assert [tuple(one[1:]) for one in joined] == [(5.0, "0.2", 900), (5.0, "0.2", 1100), (2.0, "0.9", 4000)]


def test_score_trend_corners(store: Store) -> None:
    rows = [evaluation("trend-corner", 0.5, 4.0, name="one", sample_weight=5.0)]
    rows += [evaluation("trend-corner", 0.5, None, name="none", error="down") for _ in range(3)]
    rows += [evaluation("trend-corner", 0.5, 0.1, name="constant", evaluator_version=v) for v in "12" for _ in range(5)]
    store.insert("evaluations", rows)
    got = {(r["metric"], r["evaluator_version"]): r for r in ask(store, "score_trend", "trend-corner")}
    assert (got["one", "1"]["mean"], got["one", "1"]["low"], got["one", "1"]["sampling_error"]) == (4.0, None, None)
    assert (got["none", "1"]["mean"], got["none", "1"]["share_unscored"]) == (None, 1.0)
    assert (got["constant", "1"]["mean"], got["constant", "2"]["standard_error"]) == (0.1, 0.0)


def test_usage_trend_estimates_what_sampling_dropped(store: Store) -> None:
    rng = np.random.default_rng(2)
    rows = []
    for _ in range(300):
        failed = bool(rng.random() < 0.2)
        rows.append(
            call(
                "usage",
                float(rng.uniform(0.01, 0.9)),
                status="ERROR" if failed else "OK",
                sample_weight=1.0 if failed else 20.0,
                duration_ns=int(rng.lognormal(20, 1)),
                input_tokens=int(rng.poisson(100)),
                cost_usd=None if rng.random() < 0.1 else float(rng.random()),
            )
        )
    store.insert("spans", rows)
    (got,) = ask(store, "usage_trend", "usage")
    w = np.array([r["sample_weight"] for r in rows])
    failed_w = w[[r["status"] == "ERROR" for r in rows]].sum()
    kish = w.sum() ** 2 / (w**2).sum()
    assert (got["n"], got["calls"]) == (300, pytest.approx(w.sum()))
    assert got["error_rate"] == pytest.approx(failed_w / w.sum(), rel=1e-9)
    interval = st.proportion_interval(failed_w / w.sum() * kish, kish)
    assert (got["error_low"], got["error_high"]) == pytest.approx(interval, abs=1e-9)
    assert got["input_tokens"] == pytest.approx(float(w @ [r["input_tokens"] for r in rows]))
    cost = np.array([r["cost_usd"] or 0 for r in rows])
    assert got["cost_usd"] == pytest.approx(float(w @ cost), rel=1e-9)
    error = float(np.sqrt(((1 - 1 / w) * (w * cost) ** 2).sum()))
    assert got["cost_high"] - got["cost_usd"] == pytest.approx(1.959963984540054 * error, rel=1e-9)
    unpriced = w[[r["cost_usd"] is None for r in rows]].sum() / w.sum()
    assert got["share_unpriced"] == pytest.approx(unpriced, rel=1e-9)
    order = np.argsort([r["duration_ns"] for r in rows])
    half = order[np.searchsorted(np.cumsum(w[order]), w.sum() / 2)]
    assert got["latency_p50_ms"] == pytest.approx(rows[half]["duration_ns"] / 1e6, rel=1e-9)


def test_confidence_band_and_cusum_equal_the_python_ones(store: Store) -> None:
    rng = np.random.default_rng(3)
    rows = [
        evaluation("band", float(d), float(1e3 + rng.normal()) - 2 * (d < 3), sample_weight=float(rng.choice([1, 4])))
        for d in rng.uniform(0.01, 14, 600)
    ]
    store.insert("evaluations", rows)
    recent = [r for r in rows if r["span_time"] >= UNTIL - timedelta(days=7)]
    for window in ask(store, "confidence_band", "band", rho=0.2):
        seen = [r for r in recent if r["span_time"] < window["window_start"] + timedelta(days=1)]
        y, w = np.array([r["score"] for r in seen]), np.array([r["sample_weight"] for r in seen])
        mean, n = float(w @ y / w.sum()), len(y)
        sd = float(np.sqrt(w @ (y - mean) ** 2 / w.sum() * n / (n - 1)))
        want = st.confidence_sequence(mean, sd, float(w.sum() ** 2 / (w**2).sum()), 0.05, 0.2)
        assert (window["n"], window["mean"]) == (n, pytest.approx(mean, rel=1e-12))
        assert (window["low"], window["high"]) == pytest.approx(want, rel=1e-9)
    chart = ask(store, "cusum", "band")
    spread = chart[0]["baseline_sd"]
    want_chart = st.cusum([r["mean"] for r in chart], chart[0]["baseline_mean"], spread / 2, 5 * spread)
    assert [r["high"] for r in chart] == pytest.approx(want_chart.high, abs=1e-9)
    assert [r["low"] for r in chart] == pytest.approx(want_chart.low, abs=1e-9)
    assert next(i for i, r in enumerate(chart) if r["alarm"]) == want_chart.alarm


def test_one_long_conversation_makes_no_window_of_a_cusum(store: Store) -> None:
    rows = [evaluation("cusum-talk", d + 0.3, 4.0 + i % 2) for d in range(14) for i in range(12)]
    talk = [evaluation("cusum-talk", 0.25, 1.0, conversation_id="long") for _ in range(50)]
    store.insert("evaluations", [row for row in rows if row["span_time"] < UNTIL - timedelta(days=1)] + talk)
    assert [row["n"] for row in ask(store, "cusum", "cusum-talk")] == [12] * 6
    assert [row["n"] for row in ask(store, "cusum", "cusum-talk", min_n=1)] == [12] * 6 + [1]


def test_g16_numeric_input_drift_equals_the_python_distances(store: Store) -> None:
    rng = np.random.default_rng(4)
    old, new = rng.poisson(60, 500), rng.poisson(70, 300)
    rows = [call("numbers", 10, "a" * 30, input_tokens=int(v), output="b" * int(rng.integers(1, 9))) for v in old]
    rows += [call("numbers", 3, "a" * 30, input_tokens=int(v), output="b" * int(rng.integers(1, 9))) for v in new]
    store.insert("spans", rows)
    got = {r["feature"]: r for r in ask(store, "input_drift_numbers", "numbers")}
    edges = np.unique(np.sort(old)[np.ceil(len(old) * np.arange(1, 10) / 10).astype(int) - 1])
    before, after = (np.bincount(np.searchsorted(edges, side), minlength=len(edges) + 1) for side in (old, new))
    tokens = got["input_tokens"]
    assert tokens["psi"] == pytest.approx(st.population_stability_index(before, after), rel=1e-9)
    assert tokens["js_distance"] == pytest.approx(st.jensen_shannon_distance(before, after), rel=1e-9)
    chi = stats.chi2_contingency([before, after], correction=False)
    assert (tokens["chi_square"], tokens["chi_square_p"]) == pytest.approx((chi.statistic, chi.pvalue), abs=1e-9)
    joint = 500 * 300 / 800
    assert tokens["psi_p"] == pytest.approx(stats.chi2.sf(tokens["psi"] * joint, len(edges)), abs=1e-9)
    ks = stats.ks_2samp(old, new)
    assert tokens["ks"] == pytest.approx(ks.statistic, rel=1e-9)
    assert tokens["ks_p"] == pytest.approx(special.kolmogorov(np.sqrt(joint) * ks.statistic), abs=1e-9)
    assert (tokens["moved"], got["output_characters"]["moved"], got["input_characters"]["psi"]) == (1, 0, 0)


def test_categorical_input_drift_finds_the_new_language(store: Store) -> None:
    rng = np.random.default_rng(5)
    english, german = (
        "how do i cancel the plan for my account",
        "wie kann ich mein konto kündigen und was ist mit der rechnung",
    )
    rows = []
    for i in range(600):
        late = i < 300
        text = german if late and i % 3 == 0 else english
        rows.append(
            call(
                "language", 3 if late else 10, text, attributes={"evalspan.tag.tier": str(rng.choice(["a", "b", "c"]))}
            )
        )
    store.insert("spans", rows)
    got = {r["feature"]: r for r in ask(store, "input_drift_categories", "language")}
    assert (got["language"]["moved_most"], got["language"]["moved"], got["tag:tier"]["moved"]) == ("en", 1, 0)
    assert got["language"]["share_after"] == pytest.approx(2 / 3)
    tiers = [
        [sum(r["attributes"]["evalspan.tag.tier"] == t for r in side) for t in "abc"]
        for side in (rows[300:], rows[:300])
    ]
    chi = stats.chi2_contingency(tiers)
    assert got["tag:tier"]["chi_square"] == pytest.approx(chi.statistic, rel=1e-9)
    assert got["tag:tier"]["chi_square_p"] == pytest.approx(chi.pvalue, abs=1e-9)
    assert got["tag:tier"]["cramers_v"] == pytest.approx(np.sqrt(chi.statistic / 600), rel=1e-9)
    assert got["tag:tier"]["js_distance"] == pytest.approx(st.jensen_shannon_distance(*tiers), rel=1e-9)


def test_a01_new_words_are_found_and_the_same_words_are_not(store: Store) -> None:
    rng = np.random.default_rng(6)
    known = np.array([f"word{i}" for i in range(40)])
    for project, share in (("words-new", 0.5), ("words-same", 0.0)):
        rows = []
        for i in range(300):
            topic = "warranty reseller" if i < 150 and rng.random() < share else ""
            rows.append(call(project, 3 if i < 150 else 10, " ".join(rng.choice(known, 8)) + " " + topic))
        store.insert("spans", rows)
    (new,) = ask(store, "input_drift_words", "words-new")
    (same,) = ask(store, "input_drift_words", "words-same")
    assert (new["p"], new["n_before"], new["n_after"]) == (0.01, 150, 150)
    assert new["js_distance"] > new["bound"]
    assert {word[0] for word in new["gained"][:2]} == {"warranty", "reseller"}
    assert same["p"] > 0.05


def test_p01_agreement_and_corrected_mean_equal_the_python_ones(store: Store) -> None:
    rng = np.random.default_rng(7)
    rows, human, judge, alone = [], [], [], []
    for i in range(400):
        good = bool(rng.random() < 0.7)
        verdict = good if rng.random() < 0.85 else not good
        ids = {"trace_id": uuid.uuid4().hex, "span_id": uuid.uuid4().hex[:16]}
        rows.append(
            evaluation("agree", 2, float(verdict), passed="pass" if verdict else "fail", source="llm_judge", **ids)
        )
        if i < 60:
            rows.append(evaluation("agree", 2, float(good), passed="pass" if good else "fail", source="human", author="ann", **ids))  # fmt: skip
            human.append(float(good))
            judge.append(float(verdict))
        else:
            alone.append(float(verdict))
    store.insert("evaluations", rows)
    (agreement,) = ask(store, "judge_agreement", "agree")
    assert (agreement["pairs"], agreement["people"]) == (60, 1)
    assert agreement["kappa"] == pytest.approx(st.cohen_kappa(human, judge), rel=1e-9)
    assert agreement["agreement"] == pytest.approx(np.mean(np.array(human) == np.array(judge)), rel=1e-9)
    paired = st.paired_difference(judge, human)
    assert (agreement["difference"], agreement["standard_error"]) == pytest.approx((paired.mean, paired.standard_error))
    assert agreement["correlation"] == pytest.approx(np.corrcoef(human, judge)[0, 1], rel=1e-9)
    (corrected,) = ask(store, "corrected_mean", "agree")
    want = st.prediction_powered_mean(human, judge, alone)
    assert (corrected["labels"], corrected["unlabelled"]) == (60, 340)
    assert corrected["tuning"] == pytest.approx(want.tuning, rel=1e-9)
    assert (corrected["mean"], corrected["standard_error"]) == pytest.approx((want.mean, want.standard_error), rel=1e-9)
    assert (corrected["low"], corrected["high"]) == pytest.approx(want.interval, rel=1e-9)


def test_b10_paired_comparison_on_the_same_questions(store: Store) -> None:
    rng = np.random.default_rng(8)
    spans, rows = [], []
    old: list[float] = []
    new: list[float] = []
    for i in range(50):
        level = float(rng.normal(3, 1))
        for version, values, shift in (("v1", old, 0.0), ("v2", new, 0.3)):
            span = call("paired", 2, f"question {i}", prompt_version=version)
            spans.append(span)
            values.append(level + shift + float(rng.normal(0, 0.2)))
            ids = {"trace_id": span["trace_id"], "span_id": span["span_id"], "prompt_version": version}
            rows.append(evaluation("paired", 2, values[-1], **ids))
    store.insert("spans", spans)
    store.insert("evaluations", rows)
    (got,) = ask(store, "paired_before_after", "paired", by="prompt_version", before="v1", after="v2")
    want = st.paired_difference(new, old)
    assert got["pairs"] == 50
    assert (got["difference"], got["standard_error"]) == pytest.approx((want.mean, want.standard_error), rel=1e-9)
    better = sum(b > a for a, b in zip(old, new, strict=True))
    assert got["better"] == better
    assert got["sign_p"] == pytest.approx(stats.binomtest(better, 50).pvalue, abs=1e-9)


def test_calls_of_one_conversation_count_as_one_where_labels_correct_scores_and_inputs_are_paired(store: Store) -> None:
    """Each conversation's three calls say the same: the interval is that of a third of the calls."""
    rng = np.random.default_rng(12)
    rows: list[Any] = []
    human, judge, alone = [], [], []
    for talk in range(120):
        good, verdict = float(rng.random() < 0.7), float(rng.random() < 0.75)
        for _ in range(3):
            ids = {"trace_id": uuid.uuid4().hex, "span_id": uuid.uuid4().hex[:16], "conversation_id": f"talk-{talk}"}
            rows.append(
                evaluation("talks", 2, verdict, passed="pass" if verdict else "fail", source="llm_judge", **ids)
            )
            if talk < 40:
                rows.append(
                    evaluation("talks", 2, good, passed="pass" if good else "fail", source="human", author="ann", **ids)
                )
        if talk < 40:
            human.append(good)
            judge.append(verdict)
        else:
            alone.append(verdict)
    spans, before, after = [], [], []
    for talk in range(30):
        moved = float(rng.normal(0.3, 0.4))
        before.append(3.0)
        after.append(3.0 + moved)
        for turn in range(3):
            for version, value in (("v1", 3.0), ("v2", 3.0 + moved)):
                span = call("talks-paired", 2, f"talk {talk} turn {turn}", prompt_version=version)
                spans.append(span)
                ids = {key: span[key] for key in ("trace_id", "span_id")}
                rows.append(
                    evaluation(
                        "talks-paired", 2, value, prompt_version=version, conversation_id=f"{version}-{talk}", **ids
                    )
                )
    store.insert("spans", spans)
    store.insert("evaluations", rows)
    (corrected,) = ask(store, "corrected_mean", "talks")
    want = st.prediction_powered_mean(human, judge, alone)
    assert corrected["labels"] == 120
    assert corrected["mean"] == pytest.approx(want.mean, abs=0.02)  # the tuning rests on counts of calls
    assert corrected["standard_error"] == pytest.approx(want.standard_error, rel=0.06)
    (paired,) = ask(store, "paired_before_after", "talks-paired", by="prompt_version", before="v1", after="v2")
    compared = st.paired_difference(after, before)
    assert paired["pairs"] == 90
    assert paired["difference"] == pytest.approx(compared.mean)
    assert paired["standard_error"] == pytest.approx(compared.standard_error, rel=1e-6)


def test_j14_two_versions_are_compared_on_the_same_calls(store: Store) -> None:
    rng = np.random.default_rng(9)
    rows, old, new = [], rng.normal(3, 1, 80), rng.normal(0.2, 0.3, 80)
    for a, b in zip(old, new, strict=True):
        ids = {"trace_id": uuid.uuid4().hex, "span_id": uuid.uuid4().hex[:16]}
        for version, score in (("1", a), ("2", a + b)):
            rows.append(evaluation("versions", 1, float(score), evaluator_version=version, passed="pass" if score > 3 else "fail", **ids))  # fmt: skip
    rows.append(evaluation("versions", 1, 99.0, evaluator_version="2"))
    store.insert("evaluations", rows)
    (got,) = ask(store, "version_comparison", "versions", metric="m", old="1", new="2")
    want = st.paired_difference(old + new, old)
    assert got["calls"] == 80
    assert (got["difference"], got["standard_error"]) == pytest.approx((want.mean, want.standard_error), rel=1e-9)
    assert got["correlation"] == pytest.approx(np.corrcoef(old, old + new)[0, 1], rel=1e-9)
    assert got["only_new_passed"] == int(((old <= 3) & (old + new > 3)).sum())
    assert got["same_verdict"] == pytest.approx(float(((old > 3) == (old + new > 3)).mean()))


def test_a18_a_silent_evaluator_is_named_with_its_last_error(store: Store) -> None:
    rows = [evaluation("silence", 1 + i / 10, 1.0, name="quiet") for i in range(5)]
    rows += [evaluation("silence", 0.5, None, name="quiet", error="401 from the judge")]
    rows += [evaluation("silence", i / 100, 1.0, name="fine") for i in range(5)]
    store.insert("evaluations", rows)
    store.insert("spans", [call("silence", i / 10) for i in range(12)])
    (got,) = ask(store, "evaluator_silence", "silence")
    assert (got["metric"], got["failures_since"], got["reason"]) == ("quiet", 1, "401 from the judge")
    assert got["calls_since"] == 9
    funnel = {r["metric"]: r for r in ask(store, "score_funnel", "silence", since_s=7 * 86400)}
    assert (funnel["quiet"]["evaluated"], funnel["quiet"]["scored"], funnel["quiet"]["unscored"]) == (6, 5, 1)
    assert funnel["quiet"]["unscored_reasons"] == [("401 from the judge", 1)]
    assert (funnel["fine"]["stored"], funnel["fine"]["median_lag_s"]) == (11, 60)


def test_failures_are_selected_once_per_input_with_their_reasons(store: Store) -> None:
    spans = [call("failures", 0.1, "why?"), call("failures", 0.2, "why?"), call("failures", 0.3, "x", status="ERROR"), call("failures", 0.4, "ok")]  # fmt: skip
    store.insert("spans", spans)
    marks = [
        evaluation("failures", 0.1, 1.0, passed="fail", name="judge", trace_id=spans[0]["trace_id"], span_id=spans[0]["span_id"]),
        evaluation("failures", 0.2, 1.0, passed="fail", name="judge", trace_id=spans[1]["trace_id"], span_id=spans[1]["span_id"]),
        evaluation("failures", 0.1, 0.0, passed="fail", name="thumb", source="user_feedback", trace_id=spans[0]["trace_id"], span_id=""),
    ]  # fmt: skip
    store.insert("evaluations", marks)
    got = ask(store, "failures", "failures")
    assert [(r["span_id"], r["verified_by_person"]) for r in got] == [
        (spans[0]["span_id"], 1),
        (spans[2]["span_id"], 0),
    ]
    assert got[1]["reasons"] == ["error"]
