"""What strangers wrote stays text: in terminals, CSV, Markdown, logs of CI and chat."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from evalspan.collector.alerts.config import SinkConfig
from evalspan.collector.alerts.formats import slack
from evalspan.queries.cli.output import FORMATS, render
from evalspan.queries.store.result import Result
from evalspan.queries.untrusted_text import (
    SafeStream,
    ci_text,
    csv_cell,
    file_name,
    markdown_cell,
    one_line,
    slack_text,
    visible,
)

HOSTILE = (
    "\x1b]0;title\x07", "\x1b]52;c;cm0gLXJm\x07", "\x1b[2J\x1b[H", "\x9b31m", "\x9d0;x\x9c", "\u202egnp.exe", "a\u2066b\u2069",
    "x\x08\x08y", "over\rwritten", "nul\x00", "\u2028::error::x", "\U000e0041tag", "\ufeff=1+1", "bell\x07", "\x7f", "\x85",
)  # fmt: skip
FORMULAS = (
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\ufeff=1",
    "\x00=1",
    "\uff1d1+1",
)


def dangerous(text: str, kept: str = "\n\t") -> list[str]:
    return [
        c
        for c in text
        if c not in kept and (unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")) and c not in "\u200c\u200d\u00ad"
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_a_terminal_runs_or_hides_is_left(text: str) -> None:
    assert not dangerous(visible(text))
    assert not dangerous(one_line(f"{text}\n{text}"), "")
    assert not dangerous(slack_text(text))
    assert not dangerous(markdown_cell(text), "")
    assert not dangerous(str(csv_cell(text)))


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("text", HOSTILE)
def test_every_format_of_every_command_writes_them_out(format_: str, text: str) -> None:
    result = Result([text, "n"], ["String", "UInt8"], [(text, 1)])
    below = io.StringIO()
    render(result, format_, file=SafeStream(below, in_ci=False))  # type: ignore[arg-type]
    assert not dangerous(below.getvalue())
    if format_ == "json":
        assert json.loads(below.getvalue())[0][text] == text  # the data is the same


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_and_no_heading_is_a_formula(text: str) -> None:
    below = io.StringIO()
    render(Result([text], ["String"], [(text,), (-5,), ("-5",)]), "csv", file=below)
    heading, cell, number, numeric_text = (row[0] for row in csv.reader(io.StringIO(below.getvalue())))
    assert heading.startswith("'")
    assert cell.startswith("'")
    assert (number, numeric_text) == ("-5", "-5")


@pytest.mark.parametrize(
    "line",
    [
        "::add-mask::x",
        "  ::error::x",
        "\t::stop-commands::x",
        "\ufeff::set-output name=a::b",
        "x ##[error]y",
        "##vso[task.setvariable]x",
    ],
)
def test_no_line_is_a_command_for_a_runner(line: str) -> None:
    shown = ci_text(f"before\n{line}\nafter")
    for each in shown.splitlines():
        assert not each.strip().strip("\ufeff").startswith("::")
        assert "##[" not in each
        assert "##vso[" not in each


def test_markdown_and_slack_show_markup_as_text() -> None:
    assert "![" not in markdown_cell("![i](https://evil.example/x.png)").replace("\\!", "")
    assert markdown_cell("a|b <img src=x> `c`") == "a\\|b &lt;img src=x\\> \\`c\\`"
    assert slack_text("<!channel> <https://evil|bank>") == "&lt;!channel&gt; &lt;https://evil|bank&gt;"
    notice = {
        "severity": "high",
        "state": "firing",
        "name": "<!here>",
        "message": "<@U1>",
        "traces": ["http://x/traces/1"],
    }
    sent = json.loads(slack(SinkConfig(name="s", kind="slack", url="http://x"), "http://x", "", notice).body)["text"]
    assert "<!here>" not in sent
    assert "<@U1>" not in sent
    assert "http://x/traces/1" in sent


@pytest.mark.parametrize("name", ["../../etc/passwd", ".bashrc", "a/b\\c", "", "...", "x" * 500, "nul\x00", "-rf"])
def test_a_files_name_stays_in_its_folder(name: str) -> None:
    found = file_name(name)
    assert Path(found).name == found
    assert not found.startswith((".", "-"))
    assert 0 < len(found) <= 80


@pytest.mark.slow
def test_a_command_in_ci_prints_no_command_of_a_models(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "def target(question):\n"
        "    return 'no\\n::add-mask::x\\n  ::set-output name=a::b\\n::stop-commands::t\\n##[error]x\\n\\x1b]0;t\\x07'\n"
        "def raises(question):\n    raise RuntimeError('\\n::error::from the target')\n"
        "from evalspan.evaluators import exact_match\nsuite = [exact_match]\n"
    )
    case = {
        "id": "c1",
        "partition": "golden",
        "input": {"question": "q"},
        "expected_output": "yes",
        "metadata": {},
        "tags": [],
    }
    (tmp_path / "d.jsonl").write_text(json.dumps({**case, "created_at": "2026-01-01T00:00:00Z"}) + "\n")
    for target in ("target", "raises"):
        command = [
            sys.executable,
            "-m",
            "evalspan",
            "gate",
            "--dataset",
            "d.jsonl",
            "--target",
            f"app:{target}",
            "--suite",
            "app:suite",
        ]
        for format_ in ("table", "markdown", "json"):
            done = subprocess.run(
                [*command, "--format", format_],
                capture_output=True, text=True, check=False, cwd=tmp_path, env={"GITHUB_ACTIONS": "true", "PATH": "/usr/bin", "HOME": str(tmp_path)},
            )  # fmt: skip
            assert done.returncode in (3, 4), done.stderr
            commands = [
                line for line in (done.stdout + "\n" + done.stderr).splitlines() if line.strip().startswith("::")
            ]
            tokens = [line for line in commands if "evalspan-" in line]
            assert len(tokens) == 2
            assert all(
                line.startswith(("::error file=", "::warning file=")) for line in commands if line not in tokens
            ), commands
            assert not dangerous(done.stdout)
            assert "##[" not in done.stdout


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp1252", "cp437", "utf-16", "shift_jis"])
@pytest.mark.parametrize("text", ["plain", "ü", "你好 😀", "─ box └", "a\u202eb", "é\x1b[31mred\x1b[0m"])
def test_no_character_is_one_that_a_stream_cannot_take_and_json_stays_the_same(encoding: str, text: str) -> None:
    below = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    guarded = SafeStream(below, in_ci=False)
    print(text, file=guarded)  # type: ignore[call-overload]
    render(Result(["text"], ["String"], [(text.replace("\x1b", ""),)]), "json", file=guarded)  # type: ignore[arg-type]
    below.flush()
    below.buffer.seek(0)
    said = below.buffer.read().decode(encoding)
    assert json.loads(said.partition("\n")[2])[0]["text"] == text.replace("\x1b", "")


def test_half_a_pair_of_a_character_is_written_out() -> None:
    below = io.StringIO()
    print("a\ud800b", file=SafeStream(below, in_ci=False))  # type: ignore[call-overload]
    assert below.getvalue() == "a\\ud800b\n"


@pytest.mark.slow
def test_commands_answer_whatever_the_machine_s_encoding_is(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONUTF8": "0", "LC_ALL": "C", "HOME": str(tmp_path)}
    for encoding in ("ascii", "cp1252"):
        asked = ["sql", "SELECT '你好 ü' AS text", "--format", "json", "--store", f"chdb://{tmp_path / 'store'}"]
        (tmp_path / "store").exists() or subprocess.run(
            [sys.executable, "-m", "evalspan", "migrate", *asked[-2:]], check=True
        )
        done = subprocess.run(
            [sys.executable, "-m", "evalspan", *asked],
            env={**environment, "PYTHONIOENCODING": encoding},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.decode(encoding))[0]["text"] == "你好 ü"
