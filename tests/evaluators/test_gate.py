"""The gate through its command line: every trap that could let something through, and what it writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from evalspan.__main__ import cli
from evalspan.errors import EvalspanError
from evalspan.evaluators.builtin.similarity import GOLDEN_THRESHOLD
from evalspan.evaluators.datasets import Dataset, Example
from evalspan.evaluators.judges.judge import Judge

BOT = """
import asyncio, sys

def good(input): return "Pro costs $49."
async def good_async(input): return {"output": good(input), "context": ["Pro costs $49 a month."]}
def bad(input): return "Pro costs $99."
def half(input): return good(input) if input["n"] % 2 else bad(input)
def crashes(input): raise RuntimeError("no model")
def crashes_once(input):
    if input["n"] == 1: raise RuntimeError("no model")
    return good(input)
def quits(input): sys.exit(0)
async def quits_async(input): sys.exit(0)
async def cancels(input): raise asyncio.CancelledError
def hangs(input):
    import time; time.sleep(30)
def nothing(input): return None
def number(input): return 49
def empty_object(input): return {"answer": "Pro costs $49."}
def mutates(input):
    input.clear(); return good(input)
def prints(input): print("{}"); return good(input)
"""

SUITES = """
import asyncio, sys
from evalspan.evaluators import Score, Unscored, evaluator

price = evaluator(name="price")(lambda output: "$49" in output)
score = evaluator(name="score", threshold=0.5)(lambda output: 0.9 if "$49" in output else 0.1)
low = evaluator(name="low", threshold=0.5, direction="lower")(lambda output: 0.1 if "$49" in output else 0.9)
edge = evaluator(name="edge", threshold=0.9)(lambda output: 0.9)
nan = evaluator(name="nan", threshold=0.5)(lambda output: float("nan"))
none = evaluator(name="none")(lambda output: None)
text = evaluator(name="text")(lambda output: "yes")
bare = evaluator(name="bare")(lambda output: 1.0)
unscored = evaluator(name="unscored")(lambda output: Unscored("judge is down"))
truthy = evaluator(name="truthy")(lambda output: Score(1.0, passed="false"))
no_verdict = evaluator(name="no_verdict")(lambda output: Score(1.0))

@evaluator(name="raises")
def raises(output): raise ValueError("broken")
@evaluator(name="quits")
def quits(output): sys.exit(0)
@evaluator(name="quits_async")
async def quits_async(output): sys.exit(0)
@evaluator(name="cancels")
async def cancels(output): raise asyncio.CancelledError
@evaluator(name="hangs")
async def hangs(output): await asyncio.sleep(30)
@evaluator(name="own_context")
def own_context(output, context, example): return context == ["Pro costs $49 a month."] and example.id == "r1"

ok = [price, score, low]
nothing = []
twice = [price, price]
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "bot.py").write_text(BOT)
    (tmp_path / "suites.py").write_text(SUITES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def case(number: int, partition: str = "regression", **fields: Any) -> Example:
    fields.setdefault("metadata", {"root_cause": "the prompt"} if partition == "regression" else {})
    return Example(id=f"{partition[0]}{number}", partition=partition, input={"n": number}, **fields)


def save(*examples: Example, approved: bool = True, name: str = "d.jsonl") -> str:
    dataset = Dataset("d", examples=examples)
    if approved and dataset.partition("golden"):
        dataset.approve("ann", "bob")
    return str(dataset.save(Path(name)))


def gate(dataset: str, *more: str, target: str = "bot:good", suite: str = "suites:ok") -> Result:
    arguments = ["gate", "--dataset", dataset, "--target", target, "--suite", suite, *more]
    result = CliRunner().invoke(cli, arguments, standalone_mode=True)
    if isinstance(result.exception, EvalspanError):
        result.exit_code = result.exception.exit_code
    return result


def report(dataset: str, *more: str, **names: str) -> tuple[int, dict[str, Any]]:
    result = gate(dataset, "--format", "json", *more, **names)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.parametrize("target", ["bot:good", "bot:good_async", "bot:mutates", "bot:prints"])
def test_what_is_right_passes(target: str) -> None:
    code, said = report(save(case(1), case(2, "golden")), target=target)
    assert (code, said["verdict"]) == (0, "passed")
    assert said["partitions"]["golden"]["pass_rate"] == 1.0


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("bot:bad", 3),
        ("bot:half", 3),
        ("bot:crashes", 3),
        ("bot:crashes_once", 3),
        ("bot:quits", 3),
        ("bot:quits_async", 3),
        ("bot:cancels", 3),
        ("bot:hangs", 3),
        ("bot:nothing", 3),
        ("bot:number", 3),
        ("bot:empty_object", 3),
        ("bot:missing", 2),
        ("nowhere:good", 2),
        ("answers.jsonl", 2),
        ("http://127.0.0.1:9/", 3),
    ],
)
def test_b22_no_broken_target_passes(target: str, code: int) -> None:
    for partition in ("golden", "regression"):
        result = gate(save(case(1, partition), case(2, partition)), "--timeout", "0.5", target=target)
        assert result.exit_code == code, result.output


@pytest.mark.parametrize(
    ("suite", "code"),
    [
        ("suites:nan", 4),
        ("suites:none", 4),
        ("suites:text", 4),
        ("suites:bare", 4),
        ("suites:unscored", 4),
        ("suites:no_verdict", 4),
        ("suites:truthy", 4),
        ("suites:raises", 4),
        ("suites:quits", 4),
        ("suites:quits_async", 4),
        ("suites:cancels", 4),
        ("suites:hangs", 4),
        ("suites:nothing", 2),
        ("suites:twice", 2),
        ("suites:missing", 2),
    ],
)
@pytest.mark.parametrize("partition", ["golden", "regression", "adversarial", "distribution"])
def test_b23_b24_no_broken_suite_passes(suite: str, code: int, partition: str) -> None:
    result = gate(save(case(1, partition), case(2, partition)), "--timeout", "0.5", suite=suite)
    assert result.exit_code == code, result.output


def test_b23_one_broken_evaluator_beside_passing_ones_is_no_pass() -> None:
    Path("both.py").write_text("from suites import price, raises\nboth = [price, raises]\n")
    code, said = report(save(case(1, "golden")), suite="both:both")
    assert code == 4
    assert "ValueError: broken" in said["results"][0]["failure_reason"]
    assert said["partitions"]["golden"]["pass_rate"] == 0.0


@pytest.mark.parametrize("more", [[], ["--partition", "golden"]])
def test_a14_b21_empty_golden_never_passes(more: list[str]) -> None:
    assert gate(save(), *more).exit_code == 4
    if more:
        assert gate(save(case(1)), *more).exit_code == 4


def test_b21_a_golden_set_that_was_deleted_is_not_a_pass() -> None:
    path = save(case(1, "golden"), case(1))
    dataset = Dataset.load(path)
    dataset.remove("g1")
    dataset.save()
    code, said = report(path)
    assert code == 3
    assert said["reasons"][0]["code"] == "golden_gone"


def test_d04_an_unapproved_or_edited_golden_set_fails_and_says_how_to_approve() -> None:
    path = save(case(1, "golden"), approved=False)
    code, said = report(path)
    assert code == 3
    assert "dataset approve" in said["reasons"][0]["hint"]
    for reviewer in ("ann", "bob"):
        assert CliRunner().invoke(cli, ["dataset", "approve", path, "--reviewer", reviewer]).exit_code == 0
    assert report(path)[0] == 0
    Path(path).write_text(Path(path).read_text().replace('"n":1', '"n":3'))
    code, said = report(path)
    assert (code, said["reasons"][0]["code"]) == (3, "unapproved")


def test_d05_a_golden_failure_is_named_before_everything_else() -> None:
    _, said = report(save(case(1), case(2, "golden")), target="bot:bad")
    assert [reason["code"] for reason in said["reasons"]] == ["golden_failed", "regression_failed"]


def test_d06_an_exported_case_does_not_gate_before_its_review() -> None:
    path = save(case(1, metadata={"review": "pending"}))
    assert gate(path).exit_code == 4
    assert gate(path, target="bot:bad").exit_code == 3


def test_d07_a_regression_failure_names_its_case_and_root_cause() -> None:
    _, said = report(save(case(1), case(2)), target="bot:half")
    assert said["reasons"][0]["example_ids"] == ["r2"]
    assert "root cause: the prompt" in said["reasons"][0]["message"]


def test_g02_g07_g10_g15_the_report_holds_what_ci_and_trends_need() -> None:
    _, said = report(save(case(1), case(2)), "--model", "m-1", "--prompt-version", "7", target="bot:half")
    first, second = said["results"]
    assert (first["example_id"], first["partition"], first["passed"]) == ("r1", "regression", True)
    assert (second["passed"], second["model_output"], second["model_name"]) == (False, "Pro costs $99.", "m-1")
    assert second["failure_reason"].startswith("price:")
    assert {one["name"] for one in second["metrics"]} == {"price", "score", "low"}
    summary = said["partitions"]["regression"]
    assert (summary["total"], summary["passed"], summary["failed"], summary["pass_rate"]) == (2, 1, 1, 0.5)
    assert "score at least 0.5" in summary["pass_means"]
    assert "low at most 0.5" in summary["pass_means"]
    assert (said["model"], said["prompt_version"]) == ("m-1", "7")
    assert said["timestamp"] == max(one["timestamp"] for one in said["results"])


BUSY = """
import asyncio
running = most = 0
async def answer(input):
    global running, most
    running += 1
    most = max(most, running)
    await asyncio.sleep(0.05)
    running -= 1
    return "Pro costs $49 a month."
"""


def test_g03_five_cases_are_asked_at_a_time_unless_told_otherwise() -> None:
    Path("busy.py").write_text(BUSY)
    dataset = save(*(case(number) for number in range(20)))
    for more, most in (((), 5), (("--concurrency", "2", "--no-cache"), 2)):
        assert gate(dataset, *more, target="busy:answer", suite="suites:price").exit_code == 0
        assert sys.modules.pop("busy").most == most


def test_g05_a_broken_metric_is_recorded_and_the_others_still_score() -> None:
    Path("both.py").write_text("from suites import price, raises\nboth = [raises, price]\n")
    code, said = report(save(case(1)), suite="both:both")
    broken, kept = said["results"][0]["metrics"]
    assert (code, said["results"][0]["passed"]) == (4, None)
    assert (broken["value"], broken["unscored"]) == (None, "ValueError: broken")
    assert (kept["value"], kept["passed"]) == (1.0, True)


def test_g08_one_golden_case_in_sixty_that_fails_fails_the_gate() -> None:
    Path("once.py").write_text("def answer(input): return '$99' if input['n'] == 7 else '$49'\n")
    code, said = report(save(*(case(number, "golden") for number in range(60))), target="once:answer")
    assert (code, said["partitions"]["golden"]["failed"]) == (3, 1)
    assert said["reasons"][0]["example_ids"] == ["g7"]


def test_g09_only_the_partition_that_was_asked_for_is_run() -> None:
    code, said = report(save(case(1), case(2, "adversarial")), "--partition", "adversarial")
    assert (code, list(said["partitions"])) == (0, ["adversarial"])
    assert [one["example_id"] for one in said["results"]] == ["a2"]


def test_g13_the_report_says_where_the_time_went() -> None:
    Path("slow.py").write_text("import time\ndef answer(input):\n    time.sleep(0.2)\n    return '$49'\n")
    _, said = report(save(case(1), case(2)), target="slow:answer", suite="suites:price")
    spent = said["experiment"]["profile"]
    assert spent["target"] >= 0.4
    assert set(spent) == {"target", "price"}


@pytest.mark.parametrize(("suite", "warned"), [("suites:price", True), ("suites:ok", False)])
def test_a05_a_gate_on_one_proxy_alone_is_warned_about(suite: str, warned: bool) -> None:
    _, said = report(save(case(1)), suite=suite)
    assert any("one proxy can be gamed" in note for note in said["notes"]) is warned


def test_b19_a_perfect_golden_rate_comes_with_what_it_still_allows() -> None:
    _, said = report(save(*(case(number, "golden") for number in range(50))))
    assert said["partitions"]["golden"]["failure_bound"] == pytest.approx(1 - 0.05 ** (1 / 50))
    assert "5.8%" in gate("d.jsonl").output


def test_g06_the_first_failure_is_named_in_the_order_of_the_verdict() -> None:
    Path("kinds.py").write_text(
        "from evalspan.evaluators import evaluator\n"
        "def make(name, kind):\n"
        "    one = evaluator(name=name)(lambda output: False)\n"
        "    one.kind = kind\n"
        "    return one\n"
        "suite = [make(k, k) for k in ('judge', 'similarity', 'hallucination', 'constraints')]\n"
    )
    _, said = report(save(case(1)), suite="kinds:suite")
    assert said["results"][0]["failure_reason"].startswith("constraints")


def test_p07_a18_g12_a_run_over_its_time_budget_is_inconclusive_and_says_so() -> None:
    Path("slow.py").write_text("import time\ndef answer(i):\n    time.sleep(0.3)\n    return '$49'\n")
    path = save(*(case(number, "golden") for number in range(20)))
    code, said = report(path, "--golden-budget", "0.4", "--concurrency", "2", target="slow:answer")
    assert code == 4
    assert 0 < len(said["experiment"]["over_budget"]) < 20
    assert "time budget" in said["reasons"][0]["message"]


def test_the_evaluator_sees_the_targets_context_and_the_example() -> None:
    assert gate(save(case(1)), target="bot:good_async", suite="suites:own_context").exit_code == 0


def test_repeats_at_the_threshold_turn_a_lucky_pass_into_inconclusive() -> None:
    Path("luck.py").write_text(
        "from evalspan.evaluators import evaluator\n"
        "calls = []\n"
        "def answer(input):\n    calls.append(1)\n    return str(len(calls))\n"
        "near = evaluator(name='near', threshold=0.5)(lambda output: 0.51 if output == '1' else 0.49)\n"
    )
    code, said = report(save(case(1)), target="luck:answer", suite="luck:near")
    assert code == 4
    assert "1 passed" in said["results"][0]["failure_reason"]


def test_g11_junit_is_red_wherever_the_gate_is() -> None:
    path = save(case(1), case(2), case(3, "golden"), approved=False)
    gate(path, "--junit", "j.xml", target="bot:half")
    root = ET.parse("j.xml").getroot()
    assert len(root.findall(".//testcase[@classname='d.regression']")) == 2
    assert [one.get("name") for one in root.findall(".//testcase[failure]")] == ["r2", "unapproved"]
    assert (root.get("tests"), root.get("failures")) == ("4", "2")
    Path("file").touch()
    assert gate(path, "--junit", "file/j.xml").exit_code == 2
    gate(save(case(1)), "--junit", "j.xml", suite="suites:raises")
    assert ET.parse("j.xml").getroot().find(".//error") is not None


def test_junit_survives_an_answer_that_xml_cannot_hold() -> None:
    Path("odd.py").write_text("def answer(i):\n    return '\\x00\\x1b[31m ]]> <b>&\\ud800'\n")
    result = gate(save(case(1)), "--junit", "j.xml", "--report", "r.json", target="odd:answer")
    assert result.exit_code == 3
    ET.parse("j.xml")


def test_github_gets_annotations_on_the_cases_line_and_a_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    result = gate(save(case(1), case(2)), target="bot:half")
    assert "::error file=d.jsonl,line=2,title=evalspan gate%3A regression_failed::" in result.stderr
    assert "❌ failed" in Path("summary.md").read_text()


@pytest.mark.slow
def test_g14_the_targets_code_runs_each_time_whatever_it_reads() -> None:
    """Files, environment and code are not watched: only answers of models are kept (tests of the response cache)."""
    Path("reads.py").write_text(
        "import os\nfrom pathlib import Path\n"
        "def answer(i): return Path('fact.txt').read_text() + os.environ.get('FACT_OF_THE_TEST', '')\n"
    )
    path = save(case(1))
    line = f"-m evalspan gate --dataset {path} --target reads:answer --suite suites:ok".split()

    def run(fact: str, **variables: str) -> int:
        Path("fact.txt").write_text(fact)
        environment = {**os.environ, **variables}
        return subprocess.run([sys.executable, *line], env=environment, capture_output=True).returncode

    assert run("$49") == 0
    assert run("$99") == 3
    assert run("", FACT_OF_THE_TEST="$49") == 0


def test_a09_the_gate_runs_without_the_store_and_the_service() -> None:
    path = save(case(1))
    program = (
        "import sys\nfrom evalspan.__main__ import cli\n"
        f"cli(['gate', '--dataset', {path!r}, '--target', 'bot:good', '--suite', 'suites:ok'], standalone_mode=False)\n"
        "heavy = {'chdb', 'clickhouse_connect', 'aiohttp', 'pandas', 'pyarrow', 'grpc'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_d15_a_case_that_stands_in_a_prompt_or_in_training_data_fails_the_gate() -> None:
    question = "How do I cancel my subscription before the trial ends?"
    example = Example(id="g", partition="golden", input={"n": 1, "question": question})
    path = save(example)
    Path("prompt.md").write_text(f"Be kind.\nUser: {question.lower()}\nAgent: In the settings.\n")
    assert gate(path).exit_code == 0
    for option in ("--prompt", "--training"):
        code, said = report(path, option, "prompt.md")
        assert (code, said["reasons"][0]["code"]) == (3, "contaminated")
        assert said["reasons"][0]["example_ids"] == ["g"]
    code, said = report(path, "--prompt", "prompt.md", "--contamination", "flag")
    assert code == 0
    assert "cases occur in prompt.md" in said["notes"][-1]
    assert gate(path, "--prompt", "absent.md").exit_code == 2


ENDS = """
import os
from evalspan.evaluators import evaluator
def answer(input): os._exit(0)
@evaluator(name="ends")
def ends(output): os._exit(0)
def forks(input):
    child = os.fork()
    if not child: os._exit(0)
    os.waitpid(child, 0)
    return "$49"
"""


@pytest.mark.parametrize(
    ("target", "suite", "code"),
    [
        ("ends:answer", "suites:ok", 3),
        ("bot:good", "ends:ends", 4),
        ("ends_at_import:answer", "suites:ok", 2),
        ("ends:forks", "suites:price", 0),
    ],
)
def test_b22_b23_code_that_ends_the_process_does_not_end_the_gate(target: str, suite: str, code: int) -> None:
    Path("ends.py").write_text(ENDS)
    Path("ends_at_import.py").write_text("import os\nos._exit(0)\n")
    names = ["--dataset", save(case(1)), "--target", target, "--suite", suite]
    done = subprocess.run([sys.executable, "-m", "evalspan", "gate", *names], capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stdout or done.stderr


def test_a_module_that_exits_while_it_is_imported_is_bad_input_not_success() -> None:
    Path("exits.py").write_text("import sys\nsys.exit(0)\n")
    assert gate(save(case(1)), target="exits:answer").exit_code == 2
    assert gate(save(case(1)), suite="exits:suite").exit_code == 2


@pytest.mark.parametrize("content", ["", "\n\n", "{", "[]", '{"id": "a"}', '{"name": "x", "examples": []}'])
def test_a_dataset_without_cases_or_without_form_never_passes(content: str) -> None:
    Path("d.jsonl").write_text(content)
    assert gate("d.jsonl").exit_code in (2, 4)
    assert gate("absent.jsonl").exit_code == 2


@pytest.mark.parametrize(
    ("kind", "value", "golden", "regression"),
    [
        ("judge", 3.5, 3, 0),
        ("judge", 4.0, 0, 0),
        ("similarity", 0.86, 3, 0),
        ("similarity", 0.88, 0, 0),
    ],
)
def test_g06_the_bar_is_higher_on_golden_cases(kind: str, value: float, golden: int, regression: int) -> None:
    threshold, bar = (3.0, Judge.golden_threshold) if kind == "judge" else (0.85, GOLDEN_THRESHOLD)
    Path("bars.py").write_text(
        f"from evalspan.evaluators import Score\n"
        f"class Bar:\n"
        f"    name, version, direction, source = 'bar', '1', 'higher', 'llm_judge'\n"
        f"    kind, threshold, golden_threshold = {kind!r}, {threshold}, {bar}\n"
        f"    async def evaluate(self, **arguments): return Score({value})\n"
        f"suite = [Bar()]\n"
    )
    assert report(save(case(1, "golden")), suite="bars:suite")[0] == golden
    code, said = report(save(case(1)), suite="bars:suite")
    assert code == regression
    assert "on golden cases at least" in said["partitions"]["regression"]["pass_means"]
