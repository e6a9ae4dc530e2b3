"""`evalspan dataset` on files: what people do with it, and what it refuses."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from click.testing import CliRunner, Result

from evalspan.__main__ import cli
from evalspan.errors import EvalspanError
from evalspan.evaluators import Judge
from evalspan.evaluators.datasets import Dataset, DatasetError, Example
from evalspan.evaluators.datasets.contamination import find_overlaps, judge_prompts, read_source, source_of
from evalspan.evaluators.datasets.difference import difference
from evalspan.evaluators.datasets.difficulty import difficulty

if TYPE_CHECKING:
    from evalspan.evaluators.experiments.record import Experiment


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def dataset(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, ["dataset", *arguments])
    if isinstance(result.exception, EvalspanError):
        result.exit_code = result.exception.exit_code
    return result


def pending_file() -> str:
    case = Example(
        id="f1",
        partition="regression",
        input={"question": "How much is Pro?"},
        metadata={"review": "pending", "failure": {"output": "$99"}, "reason": "faithful 0.2"},
    )
    return str(Dataset("cases", examples=[case]).save(Path("cases.jsonl")))


def test_a_dataset_is_made_filled_and_listed() -> None:
    assert dataset("new", "d.jsonl", "--task-type", "support").exit_code == 0
    assert dataset("new", "d.jsonl").exit_code == 2
    assert dataset("add", "d.jsonl", "--partition", "golden", "--input", "Price?", "--expected", "$49").exit_code == 0
    assert dataset("add", "d.jsonl", "--partition", "golden", "--input", '{"q": 1}').exit_code == 0
    assert dataset("add", "d.jsonl", "--partition", "golden", "--input", '{"q": ').exit_code == 2
    assert dataset("add", "d.jsonl", "--partition", "gold", "--input", "x").exit_code == 2
    found = Dataset.load("d.jsonl")
    assert [(one.id, one.input) for one in found] == [("golden-1", {"question": "Price?"}), ("golden-2", {"q": 1})]
    (row,) = json.loads(dataset("list", "--format", "json").stdout)
    assert (row["golden"], row["version"]) == (2, 3)
    assert json.loads(dataset("show", "d.jsonl", "--id", "golden-1").stdout)["expected_output"] == "$49"
    kept = [json.loads(line) for line in Path("d.jsonl").read_text().splitlines()]
    assert json.loads(dataset("show", "d.jsonl", "--format", "json").stdout) == kept


def test_an_import_that_collides_changes_nothing() -> None:
    Dataset("a", examples=[Example(id="x", partition="golden", input={"q": 1})]).save("a.jsonl")
    Dataset(
        "b", examples=[Example(id="y", partition="golden", input={}), Example(id="x", partition="golden", input={})]
    ).save("b.jsonl")
    before = Path("a.jsonl").read_bytes()
    assert dataset("import", "a.jsonl", "b.jsonl").exit_code == 2
    assert Path("a.jsonl").read_bytes() == before
    assert dataset("import", "a.jsonl", "b.jsonl", "--replace").exit_code == 0
    assert len(Dataset.load("a.jsonl")) == 2


def test_a_review_needs_a_cause_and_an_expected_output_before_the_case_may_gate() -> None:
    path = pending_file()
    assert dataset("review", path, "--all", "--reviewer", "ann").exit_code == 2
    assert dataset("review", path, "--all", "--reviewer", "ann", "--root-cause", "prompt").exit_code == 2
    assert dataset("review", path, "--no-input").exit_code == 2
    assert Dataset.load(path)["f1"].pending
    assert (
        dataset(
            "review", path, "--id", "f1", "--reviewer", "Ann", "--root-cause", "prompt", "--expected", "$49"
        ).exit_code
        == 0
    )
    case = Dataset.load(path)["f1"]
    assert (case.pending, case.root_cause, case.expected_output, case.reviewers) == (False, "prompt", "$49", ["ann"])


def test_a_review_in_the_terminal_asks_case_by_case(monkeypatch: pytest.MonkeyPatch) -> None:
    path = pending_file()
    found = Dataset.load(path)
    for name in ("f2", "f3"):
        found.add(Example(id=name, partition="regression", input={"question": name}, metadata={"review": "pending"}))
    found.save()
    monkeypatch.setattr("evalspan.evaluators.cli.dataset_people.somebody_is_there", lambda: True)
    answers = "the prompt\n$49\n" + "reject\n" + "\n"  # f1 reviewed, f2 no failure, f3 later
    result = CliRunner().invoke(cli, ["dataset", "review", path, "--reviewer", "ann"], input=answers)
    assert result.exit_code == 0, result.output
    assert "answered $99" in result.stderr
    after = {one.id: one for one in Dataset.load(path)}
    assert after["f1"].expected_output == "$49"
    assert not after["f1"].pending
    assert after["f3"].pending
    assert "f2" not in after


def test_a_case_that_is_no_failure_is_taken_out() -> None:
    path = pending_file()
    assert dataset("review", path, "--reject").exit_code == 2
    assert dataset("review", path, "--reject", "--id", "f1").exit_code == 0
    assert len(Dataset.load(path)) == 0


def test_diff_names_what_changed_also_against_git() -> None:
    old = Dataset(
        "d",
        examples=[Example(id="a", partition="golden", input={"q": 1}), Example(id="b", partition="golden", input={})],
    )
    old.save("d.jsonl")
    for line in ("init -q", "add .", "-c user.name=t -c user.email=t@example.com commit -qm one"):
        subprocess.run(["git", *line.split()], check=True)
    assert dataset("diff", "HEAD:d.jsonl", "d.jsonl").exit_code == 0
    new = Dataset.load("d.jsonl")
    new["a"].input["q"] = 2
    new.remove("b")
    new.add(Example(id="c", partition="golden", input={}))
    new.save()
    result = dataset("diff", "HEAD:d.jsonl", "d.jsonl", "--format", "json")
    assert result.exit_code == 3
    rows = {(row["change"], row["id"], row["fields"]) for row in json.loads(result.stdout)}
    assert rows == {("added", "c", ""), ("removed", "b", ""), ("changed", "a", "input")}
    assert dataset("diff", "nope:d.jsonl", "d.jsonl").exit_code == 2
    assert difference(new, new).empty


QUESTION = "How do I cancel my subscription before the trial ends?"


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        (f"Answer kindly.\n\nQ: {QUESTION}\nA: In settings.", "exact"),
        ("Customer: HOW do I cancel my   subscription, before the trial ends\nAgent: In settings.", "normalized"),
        ("User: How can I cancel my subscription before the trial ends?\nAgent: ...", "near"),
        ("Q: How do I invite a colleague?\nA: In settings.", None),
    ],
)
def test_d15_a_case_that_stands_in_a_prompt_is_found(prompt: str, kind: str | None) -> None:
    example = Example(id="g", partition="golden", input={"question": QUESTION})
    found = find_overlaps([example], [source_of("prompt.txt", prompt)])
    assert [one.kind for one in found] == ([kind] if kind else [])


def test_d15_a_short_input_is_not_found_inside_other_words() -> None:
    example = Example(id="a", partition="adversarial", input={"question": "hi"})
    assert not find_overlaps([example], [source_of("p", "this is something else")])
    assert find_overlaps([example], [source_of("p", "Q: Hi!\nA: Hello.")])


def test_d16_training_files_are_read_string_by_string() -> None:
    line = {"messages": [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": "In settings."}]}
    Path("train.jsonl").write_text(json.dumps(line) + "\n")
    Path("broken.jsonl").write_text("{")
    example = Example(id="g", partition="golden", input={"question": QUESTION})
    assert find_overlaps([example], [read_source("train.jsonl")])[0].source == "train.jsonl"
    for name in ("broken.jsonl", "absent.txt"):
        with pytest.raises(DatasetError):
            read_source(name)


def test_d15_the_prompts_of_judges_are_sources_too_with_their_example_responses() -> None:
    judge = Judge("helpful", model="gpt-4o-mini", base_url="http://127.0.0.1:9", api_key="x", examples=[(QUESTION, 5)])
    (source,) = judge_prompts([judge, object()])
    example = Example(id="g", partition="golden", input={"question": QUESTION})
    assert [one.source for one in find_overlaps([example], [source])] == ["the prompt of helpful"]


def test_d15_validate_reports_contamination_and_exits_3() -> None:
    Dataset("d", examples=[Example(id="r", partition="regression", input={"question": QUESTION})]).save("d.jsonl")
    Path("prompt.md").write_text(f"Example: {QUESTION}")
    assert dataset("validate", "d.jsonl").exit_code == 0
    result = dataset("validate", "d.jsonl", "--prompt", "prompt.md", "--format", "json")
    assert result.exit_code == 3
    assert {"contaminated"} <= {row["code"] for row in json.loads(result.stdout)}


def test_a14_d13_a_set_that_every_version_passes_is_called_too_easy() -> None:
    example = Example(id="g", partition="golden", input={"question": "x"}, tags=["ambiguous"])

    passed = SimpleNamespace(results=[SimpleNamespace(example_id="g", passed=True)])
    runs = cast("list[Experiment]", [passed, passed])
    report = difficulty([example], runs)
    assert "too easy" in report.warnings[0]
    assert report.kinds["ambiguous"] == 1
    assert "should_refuse" in report.warnings[1]


@pytest.fixture
def three() -> Path:
    cases = [Example(id=f"g{n}", partition="golden", input={"question": f"Q{n}?"}, tags=["old"]) for n in range(3)]
    found = Dataset("d", examples=cases)
    for who in ("ann", "bob"):
        found.approve(who)
    found.save(Path("d.jsonl"))
    assert found.why_unapproved() is None
    return Path("d.jsonl")


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        (["--input", "New?"], "input", {"question": "New?"}),
        (["--input", '{"q": 1}'], "input", {"q": 1}),
        (["--expected", "yes"], "expected_output", "yes"),
        (["--expected", ""], "expected_output", ""),
        (["--partition", "regression"], "partition", "regression"),
        (["--set", '{"root_cause": "x", "gone": null}'], "metadata", {"root_cause": "x"}),
        (["--tag", "new", "--untag", "old"], "tags", ["new"]),
    ],
)
def test_an_edit_changes_one_field_in_place_and_ends_the_approval(three: Path, options, field, value) -> None:
    done = dataset("edit", str(three), "g1", *options)
    assert done.exit_code == 0, done.output
    found = Dataset.load(three)
    assert [one.id for one in found] == ["g0", "g1", "g2"]
    assert getattr(found["g1"], field) == value
    assert found.why_unapproved() is not None
    assert "the golden set is not approved any more" in done.output


@pytest.mark.parametrize(
    "options",
    [
        ["nope", "--expected", "x"],
        ["g1", "--expected", "x", "--no-expected"],
        ["g1", "--input", "{"],
        ["g1", "--set", "[]"],
        ["g1", "--untag", "never"],
        ["g1", "--partition", "gold"],
        ["g1", "--no-input"],
        ["g1"],
    ],
)
def test_an_edit_that_cannot_be_leaves_the_file_as_it_was(three: Path, options: list[str]) -> None:
    before = three.read_bytes()
    assert dataset("edit", str(three), *options).exit_code == 2
    assert three.read_bytes() == before


def test_an_edit_that_changes_nothing_keeps_version_and_approval(three: Path) -> None:
    before = Dataset.load(three).version
    assert "stays as it is" in dataset("edit", str(three), "g1", "--input", "Q1?").output
    assert (Dataset.load(three).version, Dataset.load(three).why_unapproved()) == (before, None)


@pytest.mark.parametrize(
    ("change", "code", "there"),
    [
        ('sed -i s/Q1/Quite/ "$1"', 0, ["g0", "g1", "g2"]),
        ('sed -i \'s/"g1"/"renamed"/\' "$1"', 0, ["g0", "renamed", "g2"]),
        ('sed -i \'s/"g1"/"g2"/\' "$1"', 2, ["g0", "g1", "g2"]),
        ('echo "{" > "$1"', 2, ["g0", "g1", "g2"]),
        ("true", 0, ["g0", "g1", "g2"]),
    ],
)
def test_an_editor_changes_the_whole_case_or_nothing(
    three: Path, monkeypatch: pytest.MonkeyPatch, change: str, code: int, there: list[str]
) -> None:
    editor = Path("editor")
    editor.write_text(f"#!/bin/sh\n{change}\n")
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor.absolute()))
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setattr("evalspan.evaluators.cli.dataset_edit.somebody_is_there", lambda: True)
    done = dataset("edit", str(three), "g1")
    assert done.exit_code == code, done.output
    assert [one.id for one in Dataset.load(three)] == there


def test_cases_are_taken_out_all_or_none(three: Path) -> None:
    before = three.read_bytes()
    refused = dataset("remove", str(three), "g0", "g9")
    assert refused.exit_code == 2
    assert three.read_bytes() == before
    done = dataset("remove", str(three), "g0", "g2", "g0")
    assert done.exit_code == 0
    assert "2 taken out of d.jsonl, 1 left" in done.output
    assert [one.id for one in Dataset.load(three)] == ["g1"]
