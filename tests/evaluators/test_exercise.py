"""The exercise of the lesson as a runnable example: the shipped cases, rules, answers, and a judge that is no good."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evalspan.evaluators.datasets import Dataset
from evalspan.evaluators.loading import load_object

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "support"


def score(input_name, suite, output, *more, **environment):
    command = [
        sys.executable,
        "-m",
        "evalspan",
        "score",
        "--input",
        input_name,
        "--suite",
        suite,
        "--output",
        str(output),
    ]
    env = {**os.environ, **environment}
    done = subprocess.run(
        [*command, *more], cwd=EXAMPLE, env=env, capture_output=True, text=True, timeout=280, check=False
    )
    lines = [json.loads(line) for line in output.read_text().splitlines()] if output.exists() else []
    return done, {(line["id"], line["outcome"]["name"]): line["outcome"] for line in lines}


def calibrate(path, least):
    command = [sys.executable, "-m", "evalspan", "calibrate", "--labels", str(path), "--min-labels", str(least)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    return tmp_path_factory.mktemp("exercise") / "scores.jsonl"


@pytest.fixture(scope="module")
def verdicts(scores):
    done, outcomes = score("answers.jsonl", "checks:RULES", scores, "--labels", "labels.jsonl")
    assert done.returncode == 0, done.stderr
    return outcomes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "faithful"),
    [
        ("clean", True),
        ("wrong-price", False),
        ("invented-feature", False),
        ("includes", False),
        ("does-not-include", True),
    ],
)
def test_h09_the_rules_judge_the_exercise_right(verdicts, answer, faithful):
    assert verdicts[answer, "grounding"]["passed"] is faithful


def test_h09_the_context_has_three_or_four_paragraphs():
    assert 3 <= (EXAMPLE / "help_centre.md").read_text().strip().count("\n\n") + 1 <= 4


def test_h09_the_rules_agree_with_the_people_on_all_answers_but_one(verdicts):
    labels = {one["id"]: one["label"] for one in map(json.loads, (EXAMPLE / "labels.jsonl").read_text().splitlines())}
    wrong = [name for name, label in labels.items() if verdicts[name, "grounding"]["passed"] is not label]
    assert wrong == ["cancel-phone"]  # a turned fact in words that the context also uses: this takes a judge


@pytest.mark.slow
def test_r07_a15_the_rules_may_gate_by_the_peoples_labels(verdicts, scores):
    done = calibrate(scores.with_suffix(".grounding.labelled.jsonl"), 24)
    assert done.returncode == 0, done.stderr
    assert "MAY GATE" in done.stdout
    too_few = calibrate(scores.with_suffix(".grounding.labelled.jsonl"), 50)
    assert too_few.returncode == 4  # h08: fifty labels before production


def test_a02_a_wrong_policy_an_invented_feature_and_a_wrong_tone_fail_three_different_things(verdicts):
    def failed(answer):
        return {name: verdicts[answer, name]["label"] for name in ("support_rules", "grounding") if not verdicts[answer, name]["passed"]}  # fmt: skip

    assert failed("wrong-price")["support_rules"] == "only prices of the help centre"
    assert failed("invented-feature") == {"grounding": "ungrounded"}
    rules = load_object(f"{EXAMPLE}/checks.py:STYLE")
    curt = rules("Pro costs $49 per user per month and includes live chat. Figure it out.")
    assert (curt.passed, curt.label) == (False, "closes politely")


def test_c05_five_constraints_and_more_keep_the_good_answers_and_catch_an_invented_price(verdicts):
    rules = load_object(f"{EXAMPLE}/checks.py:STYLE")
    assert len(rules.names) >= 5
    assert verdicts["clean", "support_rules"]["passed"] is True
    assert verdicts["wrong-price", "support_rules"]["label"] == "only prices of the help centre"
    report = rules.leniency(["lol", "We will refund you, jane@example.org. Use Zendesk: http://evil.io"])
    assert report.warning is None


def test_d17_the_cases_are_five_golden_three_adversarial_two_regression_with_root_causes():
    cases = Dataset.load(EXAMPLE / "cases.jsonl")
    assert cases.stats() == {"golden": 5, "regression": 2, "adversarial": 3, "distribution": 0}
    assert all(one.metadata["root_cause"] for one in cases.partition("regression"))


@pytest.mark.model
def test_h08_calibration_rejects_a_judge_at_chance(model_url, tmp_path):
    few = [json.loads(line) for line in (EXAMPLE / "passages.jsonl").read_text().splitlines()][:4]
    (tmp_path / "few.jsonl").write_text("".join(json.dumps(one) + "\n" for one in few))
    done, outcomes = score(
        str(tmp_path / "few.jsonl"), "small_judge:SUITE", tmp_path / "s.jsonl", "--concurrency", "1",
        "--labels", "labels.jsonl", EVALSPAN_DEMO_MODEL_URL=model_url, EVALSPAN_CACHE=str(tmp_path / "cache"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(outcomes) == 4
    verdict = calibrate(tmp_path / "s.small_judge.labelled.jsonl", 4)
    assert verdict.returncode in (3, 4), verdict.stdout  # never 0
    assert "MAY GATE" not in verdict.stdout


@pytest.mark.model
async def test_h09_the_small_model_as_judge_catches_the_wrong_price_and_the_invented_feature(model_url):
    """Rules settle the clear clauses; the model, which calls all it is asked SUPPORTED, decides the rest."""
    from evalspan.evaluators import Hallucination, run_evaluator

    judge = Hallucination(
        model="smollm2", base_url=f"{model_url}/v1", cache=False, retries=0, claims="clauses", call_timeout_s=240
    )
    answers = {one["id"]: one for one in map(json.loads, (EXAMPLE / "answers.jsonl").read_text().splitlines())}
    for name, faithful in (("clean", True), ("wrong-price", False), ("invented-feature", False), ("cancel", True)):
        one = answers[name]
        got = await run_evaluator(judge, input=one["input"], output=one["output"], context=one["context"])
        assert got.passed is faithful, (name, got.unscored, got.details)
    assert got.details["claims"][0]["decided_by"] == "judge"


@pytest.mark.model
@pytest.mark.slow
async def test_h09_a_small_model_that_cannot_list_claims_is_asked_clause_by_clause(model_url):
    from evalspan.evaluators import Hallucination, run_evaluator

    judge = Hallucination(
        model="smollm2", base_url=f"{model_url}/v1", cache=False, retries=0, max_tokens=60, call_timeout_s=240
    )
    one = next(one for one in map(json.loads, (EXAMPLE / "answers.jsonl").read_text().splitlines()) if one["id"] == "wrong-price")  # fmt: skip
    got = await run_evaluator(judge, input=one["input"], output=one["output"], context=one["context"], timeout_s=600)
    assert got.passed is False, got
    assert got.details["claims_by"] == "clauses"
