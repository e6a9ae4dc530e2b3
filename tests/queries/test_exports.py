"""Exported cases in every format, read back by the tool they are for.

The other tools live in environments of their own, built once under the temporary directory. Where one cannot be
installed (no network, no npm) its test still checks the file, and warns that the tool did not read it.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import venv
import warnings
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from evalspan.errors import UsageError
from evalspan.evaluators.datasets import Example
from evalspan.queries.exports import write

ENVIRONMENTS = Path(tempfile.gettempdir()) / f"evalspan-consumers-{getpass.getuser()}"
INSTALL_TIMEOUT_S = 200
AWKWARD = "Costs {{price}}? “Ünï” — line\nbreak: \"quoted\", 'single', #hash, {% raw %}, %20 \\n 漢字"


def case(name: str, question: str, expected: str | None, failed: str) -> dict[str, Any]:
    metadata = {"failure": {"output": failed}, "source_trace_id": "ab" * 16, "root_cause": "prompt", "count": 3}
    messages = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": question},
    ]
    example = Example(
        id=name,
        partition="regression",
        input={"question": question, "messages": messages},
        expected_output=expected,
        metadata=metadata,
        tags=["production-failure"],
    )
    exported: dict[str, Any] = json.loads(json.dumps(example.to_json()))
    return exported


HOSTILE = [
    "file://secret.txt",
    "file://hook.js",
    "package:secret:run",
    "Explain {{ env.HOME }} to me",
    "{{ env['HOME'] }}",
    "{{ input }} {{ question }} {{ evalspan_failed | load }}",
    "{% set x = 1 %}{{ x }}{# gone #}",
    "{{",
    "{% raw %}",
    '=HYPERLINK("http://x")',
    "!!python/object/apply:os.system ['id']",
    "- a: &x 1\n- *x",
    "<b>&amp;</b> 'quoted' \"too\" \\u007b \\ back",
    "langfuse://secret",
    "\u2028 \u0085 \U0001f600",
    "123",
    "null",
]
"""Questions that some reader of an export takes for more than text."""


def everywhere(number: int, text: str) -> dict[str, Any]:
    """A case with the text in every field that traffic or a reviewer fills."""
    made = case(f"{number} {text}", text, text, text)
    made["tags"] = [text]
    made["input"] |= {text: text, "context": [text]}
    made["metadata"] |= {"root_cause": text, text: text}
    return made


EVERYWHERE = [
    everywhere(number, text)
    for number, text in enumerate(
        [*HOSTILE, "{prompt}", "data:text/plain;base64,VE9Q", "../secret.txt", "[1] %s %(x)s $HOME `id`", "\x1b[31m"]
    )
]

CASES = [
    case("failure-1", "How much is Pro?", "Pro costs $49 a month.", "Pro costs $99 a month."),
    case("failure-2", AWKWARD, None, "I do not know {{name}}, {% if %}."),
]


def installed(name: str, *packages: str) -> Path | None:
    """The folder of an environment that holds the packages, None (with a warning) where they cannot be had."""
    folder = ENVIRONMENTS / name
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    with (ENVIRONMENTS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker may be building it
        if (folder / "ready").exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        try:
            if name == "promptfoo":
                folder.mkdir()
                command = [
                    "npm",
                    "install",
                    "--omit=optional",
                    "--ignore-scripts",
                    "--no-audit",
                    "--no-fund",
                    "--prefix",
                    str(folder),
                    *packages,
                ]
            else:
                venv.create(folder, with_pip=True)
                command = [
                    str(folder / "bin/pip"),
                    "install",
                    "--quiet",
                    "--retries",
                    "1",
                    "--timeout",
                    "20",
                    *packages,
                ]
            subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_TIMEOUT_S)
        except (OSError, subprocess.SubprocessError) as error:
            warnings.warn(f"{name} cannot be installed here, so it did not read the export: {error}", stacklevel=2)
            return None
        (folder / "ready").touch()
        return folder


def in_python(folder: Path, program: str, *arguments: str) -> Any:
    """What a program prints as JSON on its last line, run in the environment."""
    done = subprocess.run(
        [folder / "bin/python", "-c", program, *arguments], capture_output=True, text=True, timeout=120, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_parquet_is_read_back_by_pyarrow(tmp_path: Path) -> None:
    from pyarrow import parquet

    write("parquet", tmp_path / "cases.parquet", CASES)
    rows = parquet.read_table(tmp_path / "cases.parquet").to_pylist()
    assert [json.loads(row["input"]) for row in rows] == [one["input"] for one in CASES]
    assert [row["expected_output"] for row in rows] == ["Pro costs $49 a month.", None]
    assert json.loads(rows[0]["metadata"]) == CASES[0]["metadata"]
    write("parquet", tmp_path / "none.parquet", [])
    assert parquet.read_table(tmp_path / "none.parquet").num_rows == 0


@pytest.mark.slow
def test_huggingface_folder_is_loaded_by_datasets(tmp_path: Path) -> None:
    write("huggingface", tmp_path / "cases", CASES)
    front = (tmp_path / "cases/README.md").read_text().split("---")[1]
    assert "split: regression" in front
    folder = installed("datasets", "datasets")
    if folder:
        program = (
            "import json, sys; from datasets import load_dataset\n"
            "data = load_dataset(sys.argv[1], cache_dir=sys.argv[2])\n"
            "print(json.dumps({name: list(split) for name, split in data.items()}, default=str))"
        )
        read = in_python(folder, program, str(tmp_path / "cases"), str(tmp_path / "cache"))
        assert list(read) == ["regression"]
        assert [row["id"] for row in read["regression"]] == ["failure-1", "failure-2"]
        assert read["regression"][1]["messages"] == CASES[1]["input"]["messages"]
        assert json.loads(read["regression"][1]["input"]) == CASES[1]["input"]
        write("huggingface", tmp_path / "hostile", EVERYWHERE)
        rows = in_python(folder, program, str(tmp_path / "hostile"), str(tmp_path / "cache"))["regression"]
        for made, row in zip(EVERYWHERE, rows, strict=True):
            assert [row["id"], row["expected_output"], row["tags"]] == [
                made["id"],
                made["expected_output"],
                made["tags"],
            ]
            assert [json.loads(row["input"]), json.loads(row["metadata"])] == [made["input"], made["metadata"]]
    with pytest.raises(UsageError, match="folder"):
        write("huggingface", tmp_path / "cases/README.md", CASES)


@pytest.mark.slow
def test_inspect_reads_the_samples_and_gates_on_them(tmp_path: Path) -> None:
    write("inspect", tmp_path / "cases.jsonl", CASES)
    lines = [json.loads(line) for line in (tmp_path / "cases.jsonl").read_text().splitlines()]
    assert lines[0]["target"] == "Pro costs $49 a month."
    folder = installed("inspect", "inspect-ai")
    if not folder:
        return
    program = (
        "import json, sys\n"
        "from inspect_ai import Task, eval\n"
        "from inspect_ai.dataset import json_dataset\n"
        "from inspect_ai.model import ModelOutput\n"
        "from inspect_ai.scorer import includes\n"
        "from inspect_ai.solver import solver\n"
        "@solver\n"
        "def recorded():\n"
        "    async def solve(state, generate):\n"
        "        state.output = ModelOutput.from_content('m', 'Pro costs $49 a month.')\n"
        "        return state\n"
        "    return solve\n"
        "data = json_dataset(sys.argv[1])\n"
        "samples = [[one.id, one.target, [[m.role, m.text] for m in one.input], one.metadata] for one in data]\n"
        "(log,) = eval(Task(data, solver=recorded(), scorer=includes()), display='none', log_dir=sys.argv[2],\n"
        "    model='mockllm/model')\n"
        "assert log.status == 'success', log.error\n"
        "print(json.dumps([samples, log.status, log.results.scores[0].metrics['accuracy'].value]))\n"
    )
    samples, status, accuracy = in_python(folder, program, str(tmp_path / "cases.jsonl"), str(tmp_path / "logs"))
    assert (status, accuracy) == ("success", 0.5)  # the case without an expected output passes nothing
    assert [one[0] for one in samples] == ["failure-1", "failure-2"]
    assert samples[1][2] == [["user", "Hello"], ["assistant", "Hi."], ["user", AWKWARD]]
    assert samples[0][3]["source_trace_id"] == "ab" * 16
    write("inspect", tmp_path / "hostile.jsonl", EVERYWHERE)
    (tmp_path / "secret.txt").write_text("TOP SECRET")
    samples, status, _ = in_python(folder, program, str(tmp_path / "hostile.jsonl"), str(tmp_path / "logs"))
    assert status == "success"
    for made, (name, expected, messages, metadata) in zip(EVERYWHERE, samples, strict=True):
        assert [name, expected] == [made["id"], made["expected_output"]]
        assert messages[-1] == ["user", made["input"]["question"]], "each question is asked as it was"
        assert metadata == {**made["metadata"], **{key: made[key] for key in ("partition", "tags", "input")}}


@pytest.mark.slow
def test_promptfoo_runs_the_cases_and_fails_when_the_failure_comes_back(tmp_path: Path) -> None:
    write("promptfoo", tmp_path / "cases.yaml", CASES)
    assert "tests:" in (tmp_path / "cases.yaml").read_text()
    # Without the optional packages it is a fifth of the size; its database's own one it cannot do without.
    machine = "arm64" if platform.machine() in ("arm64", "aarch64") else "x64"
    native = f"darwin-{machine}" if sys.platform == "darwin" else f"linux-{machine}-gnu"
    folder = installed("promptfoo", "promptfoo", f"@libsql/{native}")
    if not folder:
        return
    program = folder / "node_modules/.bin/promptfoo"
    asked = subprocess.run([program, "--version"], check=False, capture_output=True, text=True, timeout=60)
    if "requires a supported Node.js" in asked.stdout + asked.stderr:
        warnings.warn(f"promptfoo did not read the export: {asked.stdout + asked.stderr}", stacklevel=2)
        return
    environment = {
        **os.environ,
        "PROMPTFOO_DISABLE_TELEMETRY": "1",
        "PROMPTFOO_DISABLE_UPDATE": "1",
        "PROMPTFOO_CONFIG_DIR": str(tmp_path / "home"),
    }

    def run(answers: dict[str, str]) -> tuple[int, list[dict[str, Any]]]:
        provider = (
            f"const answers = {json.dumps(answers)};\n"
            "module.exports = class { id() { return 'recorded'; }\n"
            "  async callApi(prompt, context) { return { output: answers[context.test.metadata.id] + '' }; } };\n"
        )
        (tmp_path / "provider.js").write_text(provider)
        command = [program, "eval", "-c", "cases.yaml", "-r", "file://provider.js"]
        done = subprocess.run(
            [*map(str, command), "--no-cache", "--no-progress-bar", "-o", "out.json"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert (tmp_path / "out.json").exists(), done.stdout + done.stderr
        return done.returncode, json.loads((tmp_path / "out.json").read_text())["results"]["results"]

    hostile = [case(f"hostile-{n}", text, text, text) for n, text in enumerate(HOSTILE)]
    hostile += [case("{{ env.HOME }}", "Why?", "file://secret.txt", "{{ env.HOME }}")]
    (tmp_path / "secret.txt").write_text("TOP SECRET")
    (tmp_path / "hook.js").write_text("module.exports = () => ({ output: 'TOP SECRET' });")
    write("promptfoo", tmp_path / "cases.yaml", hostile)
    code, results = run({one["id"].replace("{{", "{ {"): one["metadata"]["failure"]["output"] for one in hostile})
    questions = [json.loads(one["prompt"]["raw"])[0]["content"] for one in results]
    assert questions == [one["input"]["question"] for one in hostile], "each question is asked as it was"
    assert not any(one["success"] for one in results), "each failing answer is recognised as it was"
    assert "TOP SECRET" not in (tmp_path / "out.json").read_text()
    assert os.environ["HOME"] not in json.dumps([[one["prompt"], one["vars"], one["testCase"]] for one in results])
    write("promptfoo", tmp_path / "cases.yaml", CASES)
    code, results = run({"failure-1": "Pro costs $49 a month.", "failure-2": "It depends."})
    assert code == 0
    assert [one["success"] for one in results] == [True, True]
    assert json.loads(results[1]["prompt"]["raw"]) == [{"role": "user", "content": AWKWARD}]
    code, results = run({one["id"]: one["metadata"]["failure"]["output"] for one in CASES})
    assert code != 0
    assert [one["success"] for one in results] == [False, False]


def test_openai_evals_samples_have_messages_and_ideals_and_a_registry(tmp_path: Path) -> None:
    files = write("openai-evals", tmp_path / "cases.jsonl", CASES)
    sample, without_ideal = [json.loads(line) for line in files[0].read_text().splitlines()]
    assert without_ideal["ideal"] == []  # no answer matches: nothing passes that nobody has said is right
    assert sample["ideal"] == "Pro costs $49 a month."
    assert sample["input"][-1] == {"role": "user", "content": "How much is Pro?"}
    assert str(files[0]) in files[1].read_text()


@pytest.mark.parametrize("name", ["cases.txt", "my.cases.py", "my-cases.py"])
def test_a_pytest_export_needs_a_name_that_pytest_can_import(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="import"):
        write("pytest", tmp_path / name, CASES)


@pytest.mark.slow
def test_a_pytest_export_under_any_module_name_is_collected_when_it_is_named(tmp_path: Path) -> None:
    write("pytest", tmp_path / "cases.py", CASES)
    (tmp_path / "app.py").write_text(
        "from evalspan.evaluators import exact_match\ndef answer(input): return ''\nsuite = [exact_match]\n"
    )
    options = ["--evalspan-target", "app:answer", "--evalspan-suite", "app:suite", "--collect-only", "-q"]
    asked = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, "cases.py"]
    said = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert said.stdout.count("test_regression[") == len(CASES), said.stdout + said.stderr


@pytest.mark.slow
def test_pytest_runs_hostile_cases_as_they_are(tmp_path: Path) -> None:
    write("pytest", tmp_path / "test_hostile.py", EVERYWHERE)
    (tmp_path / "app.py").write_text(
        "import json\nfrom pathlib import Path\nfrom evalspan.evaluators import evaluator\n"
        "def answer(given):\n    return given['question']\n"
        "@evaluator\ndef same(output, expected, example):\n"
        "    with Path('seen.jsonl').open('a') as file: file.write(json.dumps(example.to_json(), default=str) + '\\n')\n"
        "    return output == expected\n"
        "SUITE = [same]\n"
    )
    options = ["--evalspan-target", "app:answer", "--evalspan-suite", "app:SUITE", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--junit-xml", "j.xml", "test_hostile.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert f"{len(EVERYWHERE)} passed" in done.stdout, done.stdout + done.stderr
    seen = [json.loads(line) for line in (tmp_path / "seen.jsonl").read_text().split("\n") if line]
    for made, one in zip(EVERYWHERE, seen, strict=True):
        assert {key: one[key] for key in ("id", "input", "metadata", "tags")} == {key: made[key] for key in ("id", "input", "metadata", "tags")}  # fmt: skip
    assert ET.parse(tmp_path / "j.xml").getroot().findall("testsuite")[0].get("tests") == str(len(EVERYWHERE))


def test_a_parquet_file_may_have_a_name_that_looks_like_an_address(tmp_path: Path) -> None:
    (path,) = write("parquet", tmp_path / "s3:cases", [case("one", "Why?", None, "Because.")])
    assert path.read_bytes()[:4] == b"PAR1"


@pytest.mark.parametrize("format_", ["parquet", "huggingface", "promptfoo", "inspect", "openai-evals", "pytest"])
def test_an_export_that_fails_half_way_leaves_what_was_there(
    format_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    place = tmp_path / "test_cases.py"
    files = write(format_, place, [case("one", "Why?", None, "Because.")])
    before = {file: file.read_bytes() for file in files}
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(format_, place, [case("two", "How?", None, "Like this.")])
    assert {file: file.read_bytes() for file in files} == before
    found = {file for file in tmp_path.rglob("*") if file.is_file()}
    assert found == set(files), "something half-written is left"


@pytest.mark.parametrize("format_", ["parquet", "promptfoo", "inspect", "openai-evals"])
def test_an_export_never_replaces_what_is_no_file(format_: str, tmp_path: Path) -> None:
    """As root, `--to /dev/null` made a file of the machine's device."""
    place = tmp_path / "device"
    os.mkfifo(place)
    with pytest.raises(UsageError, match="no regular file"):
        write(format_, place, [case("one", "Why?", None, "Because.")])
    assert place.is_fifo()
    assert [one.name for one in tmp_path.iterdir()] == ["device"]
