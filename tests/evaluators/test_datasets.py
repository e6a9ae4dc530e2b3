"""Dataset files: what is refused, what survives a round trip, and whose approval counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evalspan.evaluators.datasets import Dataset, DatasetError, Example
from evalspan.evaluators.datasets.stored import from_items, to_items


def golden(number: int = 1, answer: str = "49 dollars") -> Example:
    return Example(id=f"g{number}", partition="golden", input={"question": f"price {number}?"}, expected_output=answer)


def write(path: Path, *items: object) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return path


def test_d01_a_fifth_partition_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(DatasetError, match="golde") as caught:
        Example(id="a", partition="golde", input={})
    assert "golden" in caught.value.hint


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"partition": "golden", "input": {}}, "id is missing"),
        ({"id": "a", "partition": "golden"}, "input is missing"),
        ({"id": "a", "partition": "golden", "input": "text"}, "must be an object"),
        ({"id": "a", "partition": "golden", "input": {}, "expected": "x"}, "unknown field 'expected'"),
        ({"id": "a", "partition": "golden", "input": {}, "expected_output": 3}, "must be text or null"),
        ({"id": "a", "partition": "golden", "input": {}, "tags": "x"}, "list of texts"),
        ({"id": "a", "partition": "golden", "input": {}, "created_at": "yesterday"}, "ISO 8601"),
        ({"id": " ", "partition": "golden", "input": {}}, "non-empty"),
        (["not an object"], "JSON object"),
    ],
)
def test_d10_a_broken_line_is_refused_with_its_place(tmp_path: Path, item: object, said: str) -> None:
    path = write(tmp_path / "d.jsonl", {"id": "ok", "partition": "golden", "input": {}}, item)
    with pytest.raises(DatasetError, match=said) as caught:
        Dataset.load(path)
    assert f"{path}:2" in str(caught.value)
    assert caught.value.hint


def test_a_line_that_is_no_json_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text('{"id": "a", "partition": "golden", "input": {}}\n{"id": ')
    with pytest.raises(DatasetError, match=":2 is not JSON"):
        Dataset.load(path)


def test_d11_a_duplicate_id_is_refused_by_name(tmp_path: Path) -> None:
    dataset = Dataset("d", examples=[golden()])
    with pytest.raises(DatasetError, match="'g1'"):
        dataset.add(golden())
    path = write(tmp_path / "d.jsonl", golden().to_json(), golden().to_json())
    with pytest.raises(DatasetError, match=r"d.jsonl:2: the id 'g1' is taken by .*d.jsonl:1"):
        Dataset.load(path)


@pytest.mark.parametrize("name", ["d.jsonl", "d.json"])
def test_d12_a_saved_dataset_loads_as_it_was(tmp_path: Path, name: str) -> None:
    dataset = Dataset("prices", "question answering", [golden(1), golden(2, "π ≈ 3")])
    dataset.approve("ann", "bob")
    dataset.save(tmp_path / name)
    again = Dataset.load(tmp_path / name)
    assert again.examples == dataset.examples
    assert (again.name, again.task_type, again.version) == ("prices", "question answering", 1)
    assert again.content_hash == dataset.content_hash
    assert again.why_unapproved() is None
    assert again.stats() == {"golden": 2, "regression": 0, "adversarial": 0, "distribution": 0}


def test_d12_a_version_is_added_by_new_content_only(tmp_path: Path) -> None:
    dataset = Dataset("d", examples=[golden()])
    dataset.save(tmp_path / "d.jsonl")
    dataset.save()
    assert dataset.version == 1
    dataset.add(golden(2))
    dataset.save()
    assert Dataset.load(tmp_path / "d.jsonl").version == 2


def test_b43_d12_a_save_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    dataset = Dataset("d", examples=[golden()])
    path = dataset.save(tmp_path / "d.jsonl")
    before = path.read_bytes()
    dataset["g1"].metadata["broken"] = object()
    with pytest.raises(TypeError):
        dataset.save()
    assert path.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["d.jsonl", "d.meta.json"]


def test_d03_one_person_is_not_two_reviewers_however_spelled() -> None:
    dataset = Dataset("d", examples=[golden()])
    dataset.approve("Ann")
    dataset.approve(" ann ")
    assert "fewer than 2" in (dataset.why_unapproved() or "")
    dataset.approve("bob")
    assert dataset.why_unapproved() is None


def test_d03_the_name_of_a_partition_does_not_count_as_a_reviewer() -> None:
    dataset = Dataset("d", examples=[golden()])
    dataset.approve("golden", "ann")
    assert "fewer than 2" in (dataset.why_unapproved() or "")
    with pytest.raises(DatasetError, match="name of its reviewer"):
        dataset.approve("golden")


def test_d03_reviewers_recorded_with_the_example_count_but_do_not_approve_the_set() -> None:
    example = Example(id="g", partition="golden", input={"q": "x"}, metadata={"reviewers": ["ann", "bob"]})
    dataset = Dataset("d", examples=[example])
    assert "nobody has approved" in (dataset.why_unapproved() or "")
    dataset.approve("carol")
    assert dataset.why_unapproved() is None


@pytest.mark.parametrize("edit", ["expected_output", "input", "add", "remove"])
def test_b43_d04_any_edit_voids_the_approval(tmp_path: Path, edit: str) -> None:
    dataset = Dataset("d", examples=[golden(1), golden(2)])
    dataset.approve("ann", "bob")
    dataset.save(tmp_path / "d.jsonl")
    if edit == "add":
        dataset.add(golden(3))
    elif edit == "remove":
        dataset.remove("g2")
    elif edit == "input":
        dataset["g1"].input["question"] = "another?"
    else:
        dataset["g1"].expected_output = "99 dollars"
    assert "edited after ann and bob" in (dataset.why_unapproved() or "")
    dataset.save()
    assert "edited after" in (Dataset.load(tmp_path / "d.jsonl").why_unapproved() or "")


def test_d04_a_regression_case_can_be_added_without_touching_the_golden_approval() -> None:
    dataset = Dataset("d", examples=[golden()])
    dataset.approve("ann", "bob")
    dataset.add(Example(id="r", partition="regression", input={"question": "x"}))
    assert dataset.why_unapproved() is None


def test_d06_a_root_cause_at_the_top_of_a_line_is_kept_with_the_metadata(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", {"id": "r", "partition": "regression", "input": {}, "root_cause": "prompt"})
    assert Dataset.load(path)["r"].root_cause == "prompt"


def test_a_broken_manifest_is_refused_instead_of_forgetting_the_approvals(tmp_path: Path) -> None:
    Dataset("d", examples=[golden()]).save(tmp_path / "d.jsonl")
    (tmp_path / "d.meta.json").write_text("{")
    with pytest.raises(DatasetError, match="not a dataset manifest"):
        Dataset.load(tmp_path / "d.jsonl")


def test_d02_d08_validate_names_size_missing_kinds_and_pending_cases() -> None:
    dataset = Dataset("d", examples=[golden()])
    dataset.add(Example(id="a1", partition="adversarial", input={"question": ""}))
    dataset.add(Example(id="a2", partition="adversarial", input={"question": "hi"}, metadata={"kind": "jailbreak"}))
    dataset.add(Example(id="r", partition="regression", input={"question": "y"}, metadata={"review": "pending"}))
    problems = {problem.code: problem for problem in dataset.validate()}
    assert problems["unapproved"].severity == problems["pending"].severity == "error"
    assert "50 to 200" in problems["size"].message
    missing = problems["adversarial_kinds"].message
    assert "long_input" in missing
    assert "empty_input" not in missing
    assert "jailbreak" not in missing


@pytest.mark.parametrize(
    ("task", "missing"),
    [("customer support", "confused_user, information_extraction"), ("code generation", "ambiguous_requirements")],
)
def test_d14_validate_names_the_threats_that_the_task_has_and_no_case_covers(task: str, missing: str) -> None:
    kinds = [{"kind": "angry user"}, {"kind": "security-sensitive"}]
    dataset = Dataset(
        "d", task, [Example(f"a{i}", "adversarial", {"q": str(i)}, metadata=k) for i, k in enumerate(kinds)]
    )
    problem = next(one for one in dataset.validate() if one.code == "threat_model")
    assert (problem.severity, problem.message) == ("warning", f"adversarial has no {missing} case")
    for kind in missing.split(", "):
        dataset.add(Example(kind, "adversarial", {"q": kind}, tags=[kind]))
    assert "threat_model" not in {one.code for one in dataset.validate()}


def test_approvals_travel_with_the_examples_of_a_store_and_an_edit_there_voids_them() -> None:
    examples = [Example(f"e{number}", "golden", {"question": str(number)}, "yes") for number in range(3)]
    found = Dataset("answers", examples=[*examples, Example("r", "regression", {"question": "r"}, "no")])
    found.approve("ann", "bob", note="read all")
    items = json.loads(json.dumps(to_items(found)))
    assert all("approvals" not in item["metadata"] for item in items if item["partition"] == "regression")
    back = from_items("answers", items)
    assert back.why_unapproved() is None
    assert back.content_hash == found.content_hash, "an approval is no part of what it vouches for"
    items[0]["expected_output"] = "maybe"
    assert "was edited after" in (from_items("answers", items).why_unapproved() or "")
    items[0]["metadata"]["approvals"] = [{"reviewer": "ann"}]
    with pytest.raises(DatasetError, match="approval"):
        from_items("answers", items)
