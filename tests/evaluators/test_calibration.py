"""Calibration: what labels say of an evaluator, and whether it may gate."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import confusion_matrix, f1_score, precision_score, recall_score

from evalspan.errors import UsageError
from evalspan.evaluators import statistics as st
from evalspan.evaluators.calibration.calibrate import Pair, calibrate, corrected_rate
from evalspan.evaluators.cli.calibrate import calibrate_command, read_labels
from evalspan.queries import catalog
from evalspan.queries.store.client import Store

NOW = datetime(2026, 6, 15, tzinfo=UTC)


def pairs(n: int, accuracy: float, *, seed: int = 1, age_days: float = 1) -> list[Pair]:
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        good = bool(rng.random() < 0.5)
        passed = good if rng.random() < accuracy else not good
        score = float(rng.normal(0.7 if passed else 0.3, 0.1))
        made.append(Pair(item=str(i), label=float(good), good=good, score=score, passed=passed, at=NOW - timedelta(days=age_days)))  # fmt: skip
    return made


def test_h08_confusion_and_rates_equal_scikit_learn() -> None:
    made = pairs(120, 0.85)
    report = calibrate(made, now=NOW)
    people, machine = [not p.good for p in made], [not p.passed for p in made]
    (cleared, false_alarms), (missed, caught) = confusion_matrix(people, machine)
    assert (report.confusion.caught, report.confusion.false_alarms) == (caught, false_alarms)
    assert (report.confusion.missed, report.confusion.cleared) == (missed, cleared)
    assert report.precision.value == pytest.approx(precision_score(people, machine))
    assert report.recall.value == pytest.approx(recall_score(people, machine))
    assert report.f1.value == pytest.approx(f1_score(people, machine))
    assert report.precision.interval == st.proportion_interval(caught, caught + false_alarms)
    assert report.kappa == pytest.approx(st.cohen_kappa(people, machine))


def test_a15_a_good_evaluator_may_gate_and_one_at_chance_may_not() -> None:
    assert calibrate(pairs(120, 0.93), now=NOW).verdict == "may_gate"
    chance = calibrate(pairs(120, 0.5), now=NOW)
    assert chance.verdict == "may_not_gate"
    assert any("precision" in reason for reason in chance.reasons)


@pytest.mark.parametrize("n", [60, 100, 400])
@pytest.mark.parametrize("share_bad", [0.3, 0.5, 0.7, 0.8, 0.95])
@pytest.mark.parametrize("flags", [1.0, 0.95, 0.8, 0.5, 0.2, 0.0])
def test_an_evaluator_that_ignores_what_it_judges_may_never_gate(n: int, share_bad: float, flags: float) -> None:
    """Whatever the share of failures among the labels and the share that it fails."""
    draw = np.random.default_rng(7)
    made = [
        Pair(item=str(i), label=float(i >= n * share_bad), good=i >= n * share_bad, passed=bool(draw.random() >= flags))
        for i in range(n)
    ]
    assert calibrate(made).verdict != "may_gate"


def test_labels_of_the_rarer_class_that_are_missing_are_counted() -> None:
    def made(bad: int, good: int, wrong: int) -> list[Pair]:
        failures = [Pair(item=f"b{i}", label=0, good=False, passed=False) for i in range(bad)]
        return failures + [Pair(item=f"g{i}", label=1, good=True, passed=i >= wrong) for i in range(good)]

    few = calibrate(made(76, 4, 0))
    assert few.verdict == "too_few_labels"
    assert few.reasons == ["not enough labels of the rarer class: 4 good, 6 more needed"]
    open_ = calibrate(made(80, 12, 3))
    assert open_.verdict == "too_few_labels"
    assert "not enough labels of the rarer class: 12 good, " in open_.reasons[0]
    assert calibrate(made(80, 40, 4)).verdict == "may_gate"
    assert calibrate(made(80, 40, 20)).verdict == "may_not_gate"


@pytest.mark.parametrize("n", [1, 3, 80])
@pytest.mark.parametrize("good", [0.0, 1.0])
def test_h08_scores_beside_labels_of_one_kind_ask_for_labels(n: int, good: float) -> None:
    alike = [Pair(item=str(i), label=good, good=bool(good), score=i / n) for i in range(n)]
    report = calibrate(alike)
    assert report.verdict == "too_few_labels"
    assert any("not enough labels of the rarer class: 0 " in reason for reason in report.reasons)


def test_h08_a_precision_that_no_cut_of_the_scores_reaches_may_not_gate() -> None:
    rng = np.random.default_rng(4)
    chance = [Pair(item=str(i), label=float(i % 4 > 0), good=i % 4 > 0, score=float(rng.random())) for i in range(120)]
    report = calibrate(chance, target_precision=0.99)
    assert (report.verdict, report.confusion.caught + report.confusion.false_alarms) == ("may_not_gate", 0)
    with pytest.raises(UsageError):
        calibrate([Pair(item="1", label=1.0, good=True)])


LABELS = [("passed", True), ("Incorrect", False), ("pass", True), ("SUPPORTED", True), (True, True), ("fail", False), (False, False), (5, True), (4.0, True), (3, False), (1, False)]  # fmt: skip


@pytest.mark.parametrize(("label", "good"), LABELS)
def test_good_from_touches_numbers_and_never_words(tmp_path: Path, label: object, good: bool) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(json.dumps({"id": "1", "label": label, "passed": True}))
    assert [pair.good for pair in read_labels(path, 4)] == [good]


def test_h08_fewer_than_fifty_labels_or_one_kind_only_decide_nothing() -> None:
    few = calibrate(pairs(49, 1.0), now=NOW)
    assert (few.verdict, "50" in few.reasons[0]) == ("too_few_labels", True)
    alike = [Pair(item=str(i), label=1.0, good=True, passed=True) for i in range(80)]
    assert calibrate(alike).verdict == "too_few_labels"
    with pytest.raises(UsageError):
        calibrate([])


def test_f1_interval_covers_f1() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(300):
        caught, false, missed, _ = rng.multinomial(60, [0.4, 0.1, 0.1, 0.4])
        from evalspan.evaluators.calibration.calibrate import Confusion

        low, high = Confusion(int(caught), int(false), int(missed), 0).f1.interval
        covered += low <= 0.8 <= high
    assert covered / 300 >= 0.92


def test_r07_threshold_is_reported_with_how_it_does_on_other_items() -> None:
    made = pairs(200, 0.95)
    report = calibrate(made, now=NOW)
    assert report.threshold == pytest.approx(
        st.youden_threshold([bool(p.good) for p in made], [p.score or 0 for p in made])
    )
    assert report.threshold_holds is not None
    assert (report.threshold_holds.precision.value or 0) > 0.85
    strict = calibrate(made, target_precision=0.99, now=NOW)
    assert strict.threshold is not None
    assert report.threshold is not None
    assert strict.threshold <= report.threshold
    lower = [Pair(item=p.item, label=p.label, good=p.good, score=-(p.score or 0)) for p in made]
    assert calibrate(lower, direction="lower").threshold == pytest.approx(-report.threshold)


def test_p03_several_raters_are_counted_once_an_item_and_their_own_agreement_is_shown() -> None:
    made = [
        Pair(item=str(i), rater=rater, label=float(good), good=good, passed=i % 2 == 0)
        for i in range(60)
        for rater, good in (("a", i % 2 == 0), ("b", i % 2 == 0), ("c", i % 3 == 0))
    ]
    report = calibrate(made)
    assert (report.items, report.raters, report.labels) == (60, 3, 180)
    assert report.confusion.false_alarms == report.confusion.missed == 0
    table = [[float(p.good or 0) for p in made if p.rater == rater] for rater in "abc"]
    assert report.alpha == pytest.approx(st.krippendorff_alpha(table, "ordinal"))


def test_a16_p07_disagreement_is_told_as_the_evaluators_defect_and_one_persons_labels_as_no_product_input() -> None:
    def notes(raters: str, wrong: int) -> str:
        made = [
            Pair(item=str(i), rater=rater, label=float(i % 2), good=i % 2 == 1, passed=(i % 2 == 1) != (i < wrong))
            for i in range(60)
            for rater in raters
        ]
        return " ".join(calibrate(made).notes)

    assert notes("ab", 0) == ""
    assert "the evaluator counts as wrong" in notes("ab", 1)
    assert "let support, customer-facing and legal" in notes("a", 0)


def test_quadratic_kappa_where_both_grade() -> None:
    made = [Pair(item=str(i), label=float(1 + i % 5), good=i % 5 >= 3, score=float(1 + min(4, i % 5 + (i % 7 == 0)))) for i in range(70)]  # fmt: skip
    want = st.cohen_kappa([p.label for p in made], [p.score for p in made], "quadratic")
    assert calibrate(made).kappa_quadratic == pytest.approx(want)


def test_a15_p02_p04_p07_age_and_drift_of_the_calibration_are_said() -> None:
    old = pairs(60, 1.0, age_days=200)
    assert any("quarter" in note for note in calibrate(old, now=NOW).notes)
    worse = [Pair(item=f"n{p.item}", label=p.label, good=p.good, passed=not p.passed, at=NOW) for p in pairs(60, 0.9)]
    assert calibrate(old + worse, now=NOW).drift.startswith("moved")
    assert calibrate(pairs(120, 0.9), now=NOW).drift.startswith("steady")


def test_b20_the_corrected_rate_needs_forty_labels() -> None:
    assert corrected_rate(pairs(39, 0.9), [0.5] * 100) is None
    got = corrected_rate(pairs(60, 0.9), [0.5, 0.6] * 100)
    assert got is not None
    assert got["labels"] == 60


def test_labels_are_read_from_a_file_also_claim_by_claim(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    claims = [{"label": "SUPPORTED", "passed": "UNSUPPORTED"}, {"label": "NOT_CHECKABLE", "passed": "SUPPORTED"}]
    rows: list[dict[str, Any]] = [{"id": "a", "label": 4, "score": 0.9}, {"id": "b", "label": True, "passed": "fail", "rater": "ann"}, {"id": "c", "claims": claims}]  # fmt: skip
    path.write_text("\n".join(json.dumps(row) for row in rows))
    got = read_labels(path, good_from=None)
    assert [(p.item, p.good, p.passed) for p in got] == [("a", None, None), ("b", True, False), ("c/0", True, False)]
    with pytest.raises(UsageError, match="not yet good or bad"):
        calibrate(got)
    assert read_labels(path, good_from=4)[0].good is True
    path.write_text('{"id": "a"}\n')
    with pytest.raises(UsageError, match=r"labels\.jsonl:1"):
        read_labels(path)


@pytest.mark.parametrize(("n", "accuracy", "code"), [(120, 0.95, 0), (120, 0.5, 3), (20, 1.0, 4)])
def test_exit_codes(tmp_path: Path, n: int, accuracy: float, code: int) -> None:
    path = tmp_path / "labels.jsonl"
    rows = [{"id": p.item, "label": p.good, "passed": p.passed, "score": p.score} for p in pairs(n, accuracy)]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    for format_ in ("table", "json"):
        result = CliRunner().invoke(calibrate_command, ["--labels", str(path), "--format", format_])
        assert result.exit_code == code, result.output


def test_labels_of_the_store_meet_the_scores_of_the_newest_version(store: Store) -> None:
    rows = []
    for i in range(50):
        ids = {"trace_id": uuid.uuid4().hex, "span_id": uuid.uuid4().hex[:16], "project": "calibrate", "name": "m"}
        for version, when in (("1", 3), ("2", 2)):
            rows.append({**ids, "evaluation_id": str(uuid.uuid4()), "evaluator_version": version, "source": "llm_judge", "score": float(version), "passed": "pass", "span_time": NOW - timedelta(days=when)})  # fmt: skip
        rows.append({**ids, "evaluation_id": str(uuid.uuid4()), "source": "human", "author": "ann", "score": float(i % 2), "passed": "pass" if i % 2 else "fail", "span_time": NOW - timedelta(days=3), "created_at": NOW})  # fmt: skip
    store.insert("evaluations", rows)
    until = (NOW + timedelta(days=1)).isoformat()
    got = catalog.get("labelled_pairs").run(store, project="calibrate", metric="m", until=until).dicts()
    assert len(got) == 50
    assert {(r["evaluator_version"], r["score"], r["author"]) for r in got} == {("2", 2.0, "ann")}
