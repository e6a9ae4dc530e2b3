"""The pytest plugin: silent until asked, then a test per case with the gate's verdicts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evalspan.evaluators.datasets import Dataset, Example
from evalspan.queries.exports import write

APP = """
from evalspan.evaluators import evaluator
def answer(input): return "Pro costs $49." if input["question"] != "bad" else "$99"
price = evaluator(name="price")(lambda output: "$49" in output)
broken = evaluator(name="broken")(lambda output: float("nan"))
suite, unsure = [price], [price, broken]
"""


def case(name: str, partition: str = "regression", **metadata: str) -> Example:
    return Example(id=name, partition=partition, input={"question": name}, metadata=metadata)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def run(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_a09_cases_of_a_file_are_tests_with_the_gates_verdicts(folder: Path) -> None:
    Dataset("d", examples=[case("good", root_cause="x"), case("bad", root_cause="the prompt")]).save(folder / "d.jsonl")
    names = ["--evalspan-target", "app:answer", "--evalspan-suite", "app:suite"]
    code, said = run(folder, "d.jsonl", *names)
    assert code == 1
    assert "1 failed, 1 passed" in said
    assert "PASSED d.jsonl::good" in said
    assert "root cause of the first time: the prompt" in said
    code, said = run(folder, "d.jsonl", *names[:3], "app:unsure")
    assert code == 1
    assert "2 failed" in said
    assert "inconclusive: broken could not score it" in said


@pytest.mark.slow
def test_b21_an_unapproved_golden_set_and_an_empty_file_fail(folder: Path) -> None:
    names = ["--evalspan-target", "app:answer", "--evalspan-suite", "app:suite"]
    golden = Dataset("d", examples=[case("good", "golden")])
    golden.save(folder / "d.jsonl")
    code, said = run(folder, "d.jsonl", *names)
    assert code == 1
    assert "nobody has approved" in said
    golden.approve("ann", "bob")
    golden.save()
    assert run(folder, "d.jsonl", *names)[0] == 0
    (folder / "empty.jsonl").write_text("")
    assert run(folder, "empty.jsonl", *names)[0] == 1


@pytest.mark.slow
def test_the_exported_pytest_file_runs_and_its_cases_can_be_chosen(folder: Path) -> None:
    items = [json.loads(json.dumps(one.to_json())) for one in (case("good"), case("bad"))]
    write("pytest", folder / "test_cases.py", items)
    names = ["--evalspan-target", "app:answer", "--evalspan-suite", "app:suite"]
    code, said = run(folder, "test_cases.py", *names)
    assert code == 1
    assert "PASSED test_cases.py::test_regression[good]" in said
    assert "FAILED test_cases.py::test_regression[bad]" in said
    assert run(folder, "test_cases.py", "-k", "good", *names)[0] == 0
    code, said = run(folder, "test_cases.py")
    assert code != 0
    assert "--evalspan-target" in said


@pytest.mark.slow
def test_it_is_inert_and_cheap_until_asked(folder: Path) -> None:
    (folder / "test_own.py").write_text("def test_own():\n    pass\n")
    (folder / "notes.jsonl").write_text("not a dataset\n")
    assert run(folder, "test_own.py", "notes.jsonl")[0] in (0, 4)
    assert run(folder)[0] == 0
    program = (
        "import sys, pytest, importlib.metadata\n"
        "before = set(sys.modules)\n"
        "import evalspan.evaluators.pytest_plugin\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    assert not {"numpy", "scipy", "openai", "anthropic", "opentelemetry", "rich", "chdb"} & set(
        json.loads(done.stdout.replace("'", '"'))
    )
