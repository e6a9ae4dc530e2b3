"""Runs, their records, comparisons and baselines: paired, with intervals, never more certain than the data."""

from __future__ import annotations

import json
import random
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from msgspec import structs

from evalspan.__main__ import cli
from evalspan.errors import EvalspanError
from evalspan.evaluators.datasets import Dataset, Example
from evalspan.evaluators.experiments.compare import Comparison, compare_runs
from evalspan.evaluators.experiments.record import CaseResult, Metric, load_experiment
from evalspan.evaluators.runner import EvaluationResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalspan.queries.store.client import Store

APP = """
import hashlib
from evalspan.evaluators import evaluator

def rate(percent):
    def answer(input):
        return "right" if int(hashlib.sha256(f"{input['n']}".encode()).hexdigest(), 16) % 100 < percent else "wrong"
    return answer

same, worse, much_worse = rate(80), rate(78), rate(40)
right = evaluator(name="right", version="1")(lambda output: output == "right")
length = evaluator(name="length", version="1")(lambda output: float(len(output)))
suite, wordy = [right], [right, length]
renamed = [evaluator(name="right", version="2")(lambda output: output == "right")]
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "app", raising=False)


def evalspan(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, list(arguments))
    if isinstance(result.exception, EvalspanError):
        result.exit_code = result.exception.exit_code
    assert result.exception is None or isinstance(result.exception, SystemExit | EvalspanError), result.exception
    return result


def cases(n: int, partition: str = "distribution") -> str:
    examples = [Example(id=f"c{number}", partition=partition, input={"n": number}) for number in range(n)]
    return str(Dataset("d", examples=examples).save(Path("d.jsonl")))


def run(n: int, target: str = "app:same", out: str = "base.json", suite: str = "app:suite", **_: Any) -> str:
    result = evalspan("experiment", "run", "--dataset", cases(n), "--target", target, "--suite", suite, "--out", out)
    assert result.exit_code == 0, result.output
    return out


def gate(target: str, *more: str, suite: str = "app:suite") -> tuple[int, dict[str, Any]]:
    arguments = ["gate", "--dataset", "d.jsonl", "--target", target, "--suite", suite, "--format", "json", *more]
    result = evalspan(*arguments)
    return result.exit_code, json.loads(result.stdout) if result.stdout else {}


def result_of(name: str, passed: bool, value: float | None = None, **fields: Any) -> CaseResult:
    return CaseResult(
        example_id=name,
        partition="distribution",
        content_hash="",
        input={},
        model_name="",
        prompt_version="",
        model_output="x",
        metrics=[EvaluationResult("m", "1", float(passed) if value is None else value, passed=passed)],
        latency_ms=1,
        timestamp="2026-01-01T00:00:00+00:00",
        status="passed" if passed else "failed",
        passed=passed,
        failure_reason=None,
        **fields,
    )


METRIC = Metric("m", "1", "reference", "higher", None, "")


def compared(old: list[CaseResult], new: list[CaseResult], **options: Any) -> dict[str, Comparison]:
    return {one.metric: one for one in compare_runs(old, new, [METRIC], **options)}


def test_b10_the_comparison_is_paired_and_names_the_flips() -> None:
    old = [result_of(f"c{number}", number % 2 == 0) for number in range(200)]
    new = [result_of(f"c{number}", number % 2 == 0 and number >= 40) for number in range(200)]
    rate = compared(old, new)["pass rate"]
    assert (rate.baseline_mean, rate.candidate_mean) == (0.5, 0.4)
    assert rate.conclusion == "regression"
    assert rate.mcnemar_p == pytest.approx(2 * 0.5**20)
    assert rate.worse_cases == [f"c{number}" for number in range(0, 40, 2)]
    unpaired = (0.25 / 200 + 0.24 / 200) ** 0.5 * 1.645
    assert (rate.interval[1] - rate.interval[0]) / 2 < 0.8 * unpaired


def test_b09_few_cases_are_never_proof_even_without_a_single_flip() -> None:
    for n, conclusion in ((9, "inconclusive"), (30, "inconclusive"), (60, "no_change"), (200, "no_change")):
        old = [result_of(f"c{number}", True) for number in range(n)]
        assert compared(old, old)["pass rate"].conclusion == conclusion, n


def test_b11_cases_of_one_cluster_are_not_independent() -> None:
    draw = random.Random(5)
    worse = {number: draw.random() < 0.3 for number in range(20)}
    old = [result_of(f"c{n}", True, cluster=str(n // 10)) for n in range(200)]
    new = [result_of(f"c{n}", not worse[n // 10], cluster=str(n // 10)) for n in range(200)]
    alone = [result_of(f"c{n}", not worse[n // 10]) for n in range(200)]
    clustered = compared(old, new)["pass rate"].interval
    naive = compared(old, alone)["pass rate"].interval
    assert clustered[1] - clustered[0] > 2 * (naive[1] - naive[0])


def test_b11_the_test_of_verdicts_counts_conversations_not_turns() -> None:
    """Twelve turns of two conversations turned to failed, and nothing else moved: two coins, not twelve."""
    old = [result_of(f"c{n}", True, cluster=str(n // 6)) for n in range(60)]
    new = [result_of(f"c{n}", n >= 12, cluster=str(n // 6)) for n in range(60)]
    alone = [result_of(f"c{n}", n >= 12) for n in range(60)]
    clustered = compared(old, new)["pass rate"]
    assert clustered.p_worse == pytest.approx(0.25)
    assert clustered.mcnemar_p == pytest.approx(0.5)
    assert clustered.conclusion == "inconclusive"
    assert compared(old, alone)["pass rate"].p_worse == pytest.approx(0.5**12)


@pytest.mark.parametrize("weighted", [False, True])
def test_b11_chance_alone_rarely_looks_like_a_regression_of_conversations(weighted: bool) -> None:
    draw = random.Random(11)
    small = 0
    for _ in range(100):
        old, new = [], []
        for talk in range(25):
            # All turns of a conversation fare alike; both runs are equally good.
            before, after = (draw.random() < 0.7 for _ in range(2))
            weight = float(draw.choice((1, 4))) if weighted else 1.0
            for turn in range(6):
                old.append(result_of(f"{talk}-{turn}", before, cluster=str(talk), weight=weight))
                new.append(result_of(f"{talk}-{turn}", after, cluster=str(talk), weight=weight))
        small += compared(old, new)["pass rate"].p_worse < 0.05
    assert small <= 12, "about 5 of 100 are to be expected"


def test_b11_a_constant_drop_in_few_conversations_is_no_proof() -> None:
    old = [result_of(f"c{n}", True, 0.5, cluster=str(n // 20)) for n in range(60)]
    new = [result_of(f"c{n}", True, 0.4, cluster=str(n // 20)) for n in range(60)]
    assert compared(old, new)["m"].p_worse == pytest.approx(2.0**-3)


def test_b02_cases_drawn_from_traffic_count_with_their_weight() -> None:
    old = [result_of(f"c{n}", True, weight=9.0 if n < 100 else 1.0) for n in range(200)]
    new = [result_of(f"c{n}", n >= 100, weight=9.0 if n < 100 else 1.0) for n in range(200)]
    assert compared(old, new)["pass rate"].candidate_mean == pytest.approx(0.1)
    assert compared(old, new)["pass rate"].difference == pytest.approx(-0.9)


def test_b12_constant_scores_and_unmeasured_cases_do_not_become_certainty() -> None:
    old = [result_of(f"c{n}", True, 0.5) for n in range(5)]
    assert compared(old, [result_of(f"c{n}", True, 0.4) for n in range(5)])["m"].conclusion == "inconclusive"
    many = [result_of(f"c{n}", True, 0.5) for n in range(50)]
    assert compared(many, [result_of(f"c{n}", True, 0.4) for n in range(50)])["m"].conclusion == "regression"


def test_repeats_are_averaged_within_their_case() -> None:
    old = [result_of(f"c{n}", True) for n in range(60)]
    thrice = [result_of(f"c{n}", repeat > 0, repeat=repeat) for n in range(60) for repeat in range(3)]
    rate = compared(old, thrice)["pass rate"]
    assert rate.n == 60
    assert rate.candidate_mean == pytest.approx(2 / 3)


def test_a17_multiplicity_one_of_many_metrics_falling_by_chance_is_no_regression() -> None:
    draw = random.Random(1)
    false_alarms = 0
    for _ in range(40):
        names = [f"m{k}" for k in range(12)]
        suite = [Metric(name, "1", "reference", "higher", None, "") for name in names]

        def results(names: list[str] = names) -> list[CaseResult]:
            made = []
            for n in range(40):
                outcomes = [EvaluationResult(name, "1", draw.gauss(0.5, 0.1)) for name in names]
                made.append(structs.replace(result_of(f"c{n}", True), metrics=outcomes))
            return made

        found = compare_runs(results(), results(), suite, dict.fromkeys(names, 0.01))
        false_alarms += any(one.conclusion == "regression" for one in found)
    assert false_alarms <= 6  # uncorrected, 12 metrics would alarm in 40 * (1 - 0.95 ** 12) = 18 of 40 runs


@pytest.mark.slow
def test_a17_the_same_target_is_no_worse_and_a_broken_one_fails_the_gate() -> None:
    run(200)
    assert gate("app:same", "--baseline", "base.json")[0] == 0
    code, report = gate("app:much_worse", "--baseline", "base.json")
    assert code == 3
    (rate, _) = report["comparisons"]["distribution"]
    assert rate["difference"] == pytest.approx(-0.4, abs=0.08)
    assert rate["interval"][1] < -0.3
    assert report["reasons"][0]["code"] == "regression"


def test_b09_a_thin_baseline_is_inconclusive() -> None:
    run(12)
    code, report = gate("app:same", "--baseline", "base.json")
    assert code == 4
    assert "12 pairs neither show nor exclude" in report["reasons"][0]["message"]


def test_a_sample_without_a_baseline_is_inconclusive_unless_it_is_large_and_perfect() -> None:
    cases(20)
    Path("perfect.py").write_text("def answer(input): return 'right'\n")
    assert gate("app:same")[0] == 4
    assert gate("perfect:answer")[0] == 4
    cases(60)
    assert gate("perfect:answer")[0] == 0
    cases(5, "adversarial")
    assert gate("perfect:answer")[0] == 0
    assert gate("app:much_worse")[0] == 4


@pytest.mark.parametrize("trap", ["edited", "suite", "old", "lacks", "broken", "absent", "garbage"])
def test_a_stale_or_broken_baseline_never_passes(trap: str) -> None:
    run(200)
    suite, code = "app:suite", 4
    record = json.loads(Path("base.json").read_text())
    if trap == "edited":
        record["results"][0]["content_hash"] = "0" * 64
    elif trap == "suite":
        suite = "app:renamed"
    elif trap == "old":
        record["started_at"] = "2024-01-01T00:00:00+00:00"
    elif trap == "lacks":
        record["results"] = record["results"][1:]
    elif trap == "broken":
        record["results"][0] |= {"passed": None, "status": "inconclusive"}
    elif trap == "garbage":
        record, code = {"hello": 1}, 2
    Path("base.json").write_text(json.dumps(record))
    if trap == "absent":
        Path("base.json").unlink()
        code = 2
    assert gate("app:same", "--baseline", "base.json", suite=suite)[0] == code


@pytest.mark.slow
def test_a_gate_report_is_a_baseline_too() -> None:
    run(200)
    gate("app:same", "--baseline", "base.json", "--report", "report.json")
    assert len(load_experiment("report.json").results) == 200
    assert gate("app:same", "--baseline", "report.json")[0] == 0


@pytest.mark.slow
def test_a_metric_on_an_unknown_scale_decides_only_with_a_margin() -> None:
    run(200, suite="app:wordy")
    assert gate("app:same", "--baseline", "base.json", suite="app:wordy")[0] == 0
    assert gate("app:same", "--baseline", "base.json", "--margin", "length=0.5", suite="app:wordy")[0] == 0
    assert gate("app:same", "--baseline", "base.json", "--margin", "length=no", suite="app:wordy")[0] == 2


@pytest.mark.slow
def test_compare_exits_3_4_0_and_lists_the_flips() -> None:
    run(200)
    run(200, "app:much_worse", "worse.json")
    run(200, "app:same", "again.json")
    worse = evalspan("experiment", "compare", "base.json", "worse.json")
    assert worse.exit_code == 3
    assert "pass rate, worse: c" in worse.stderr
    assert evalspan("experiment", "compare", "base.json", "again.json").exit_code == 0
    run(12, "app:same", "thin.json")
    assert evalspan("experiment", "compare", "thin.json", "thin.json").exit_code == 4
    run(1, "app:same", "one.json")
    nothing = evalspan("experiment", "compare", "one.json", "one.json")
    assert (nothing.exit_code, "results of two of the 1 cases" in nothing.stderr) == (4, True)


def test_g04_a_recorded_file_is_a_target_and_a_missing_answer_a_failure() -> None:
    cases(3, "regression")
    lines = [{"input": {"n": number}, "output": "right"} for number in range(3)]
    Path("answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert gate("answers.jsonl")[0] == 0
    Path("answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines[1:]))
    code, report = gate("answers.jsonl")
    assert code == 3
    assert "holds no answer" in report["results"][0]["failure_reason"]


@contextmanager
def endpoint(status: int, body: bytes, kind: str = "application/json") -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/answer"
    finally:
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (200, b'{"output": "right"}', "application/json", 0),
        (200, b"right", "text/plain", 0),
        (200, b"{}", "application/json", 3),
        (200, b"not json", "application/json", 3),
        (500, b"right", "text/plain", 3),
    ],
)
def test_an_endpoint_is_a_target(status: int, body: bytes, kind: str, code: int) -> None:
    cases(2, "regression")
    with endpoint(status, body, kind) as url:
        assert gate(url)[0] == code


def test_g14_an_endpoint_is_asked_each_time_also_with_a_named_model() -> None:
    """What stands behind the address may have changed: only requests to a model are recognised."""
    cases(2, "regression")
    with endpoint(200, b'{"output": "right"}') as url:
        assert gate(url, "--model", "m")[0] == 0
    assert gate(url, "--model", "m")[0] == 3


@pytest.mark.slow
def test_g01_experiments_go_to_the_store_and_come_back_as_baselines(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def opened(_dsn: str | None, **_: Any) -> Iterator[Store]:
        yield store

    monkeypatch.setattr("evalspan.queries.store.client.connect", opened)
    run(200)
    more = ["--name", "main", "--store", "chdb:///shared", "--model", "m-1"]
    arguments = ["experiment", "run", "--dataset", "d.jsonl", "--target", "app:same", "--suite", "app:suite", *more]
    assert evalspan(*arguments).exit_code == 0
    assert gate("app:same", "--baseline", "main", "--store", "chdb:///shared")[0] == 0
    assert gate("app:much_worse", "--baseline", "main", "--store", "chdb:///shared")[0] == 3
    assert gate("app:same", "--baseline", "main")[0] == 2
    monkeypatch.setenv("EVALSPAN_STORE", "chdb:///shared")
    assert gate("app:same", "--baseline", "main")[0] == 0
    assert gate("app:same", "--baseline", "nobody")[0] == 2
    store.insert("experiments", [{"experiment_id": "foreign", "name": "foreign", "config": '{"by": "another tool"}'}])
    refused = evalspan("experiment", "compare", "foreign", "main", "--store", "chdb:///shared")
    assert refused.exit_code == 2
    assert "the experiment foreign in the store is not a whole record" in str(refused.exception)
    listed = json.loads(evalspan("experiment", "list", "--store", "chdb:///shared", "--format", "json").stdout)
    assert [(row["cases"], row["name"]) for row in listed if row["name"] == "main"] == [(200, "main")]
    trend = store.query(
        "SELECT e.started_at, e.git_sha, count(), avgIf(r.scores['right'], mapContains(r.scores, 'right')) "
        "FROM experiment_results AS r INNER JOIN experiments AS e USING (project, experiment_id) "
        "WHERE e.name = 'main' GROUP BY ALL ORDER BY e.started_at"
    )
    passed = sum(one.passed is True for one in load_experiment("base.json").results)
    assert trend.rows[0][2] == 200
    assert trend.rows[0][3] == pytest.approx(passed / 200)


def test_examples_round_trip_through_the_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def opened(_dsn: str | None, **_: Any) -> Iterator[Store]:
        yield store

    monkeypatch.setattr("evalspan.queries.store.client.connect", opened)
    examples = [
        Example(id="a", partition="golden", input={"q": "ü", "k": [1, {"x": None}]}, expected_output="", tags=["t"]),
        Example(id="b", partition="regression", input={}, metadata={"root_cause": "x", "reviewers": ["ann"]}),
    ]
    before = Dataset("round-trip", examples=examples)
    before.save("a.jsonl")
    assert evalspan("dataset", "push", "a.jsonl", "--name", "round-trip").exit_code == 0
    assert evalspan("dataset", "pull", "round-trip", "b.jsonl").exit_code == 0
    assert Dataset.load("b.jsonl").content_hash == before.content_hash
    before.remove("b")
    before.save("a.jsonl")
    evalspan("dataset", "push", "a.jsonl", "--name", "round-trip")
    evalspan("dataset", "pull", "round-trip", "b.jsonl")
    assert [one.id for one in Dataset.load("b.jsonl")] == ["a"]
    causes = store.query("SELECT root_cause FROM examples FINAL WHERE dataset = 'round-trip' AND example_id = 'b'")
    assert causes.rows == []
