"""The action's steps, run in order as a runner runs them: a gate that fails, answers that are kept, reports, one comment."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from .test_tutorials import Model

ACTION = Path(__file__).parents[2] / ".github" / "actions" / "gate"
APP = """
from openai import OpenAI

def answer(input):
    messages = [{"role": "system", "content": "Know our prices."}, {"role": "user", "content": input["question"]}]
    return OpenAI().chat.completions.create(model="m", messages=messages).choices[0].message.content
"""
CHECKS = """
from evalspan.evaluators import Constraints

SUITE = [Constraints("rules").add("no invented price", lambda output: "$99" not in output)]
"""
CASES = [
    {"id": f"c{n}", "partition": "regression", "input": {"question": f"Price {n}?"}, "metadata": {"root_cause": "x"}}
    for n in range(3)
]
# Keeps comments in a file as GitHub would, with those of others among them.
GH = """#!/usr/bin/env python3
import json, os, re, sys
path = os.environ["COMMENTS"]
comments = json.load(open(path))
arguments = sys.argv[1:]
with open(path + ".log", "a") as log:
    log.write(json.dumps(arguments) + "\\n")
if arguments[:2] == ["pr", "comment"]:
    text = open(arguments[arguments.index("--body-file") + 1]).read()
    comments.append({"id": len(comments) + 1, "user": "Bot", "body": text})
elif "PATCH" in arguments:
    number = int(next(a for a in arguments if "/comments/" in a).rsplit("/", 1)[1])
    field = next(a for a in arguments if a.startswith("body=@"))
    comments[number - 1]["body"] = open(field.removeprefix("body=@")).read()
else:
    mark = re.search(r'startswith\\("(.*)"\\)', arguments[-1])[1]
    print("\\n".join(str(c["id"]) for c in comments if c["user"] == "Bot" and c["body"].startswith(mark)))
json.dump(comments, open(path, "w"))
"""


class Runner:
    """What GitHub's runner does with a composite action: expressions filled in, conditions, outputs, caches, artifacts."""

    def __init__(self, folder: Path, inputs: dict[str, str], model_url: str, run: int) -> None:
        self.folder, self.temp = folder, folder / f"temp{run}"
        self.temp.mkdir()
        self.action = yaml.safe_load((ACTION / "action.yml").read_text())
        defaults = {name: str(one.get("default", "")) for name, one in self.action["inputs"].items()}
        self.known: dict[str, str] = {f"inputs.{name}": value for name, value in {**defaults, **inputs}.items()}
        self.known |= {"runner.temp": str(self.temp), "github.action_path": str(ACTION), "github.run_id": str(run)}
        self.known |= {
            "github.ref_name": "7/merge",
            "github.run_attempt": "1",
            "github.job": "gate",
            "github.token": "t",
        }
        self.known |= {"github.event_name": "pull_request", "github.event.pull_request.number": "7"}
        self.known |= {"github.repository": "acme/shop", "github.workflow": "ci", "strategy.job-index": "0"}
        self.environment = {
            **os.environ,
            "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "OPENAI_BASE_URL": model_url,
            "OPENAI_API_KEY": "k",
            "COMMENTS": str(folder / "comments.json"),
            "GITHUB_OUTPUT": str(self.temp / "outputs"),
            "GITHUB_ACTION_PATH": str(ACTION),
        }
        self.failed = False
        self.artifact: list[str] = []

    def filled(self, text: str) -> str:
        return re.sub(r"\$\{\{ *([\w.-]+) *\}\}", lambda match: self.known[match[1]], str(text))

    def holds(self, condition: str) -> bool:
        parts = condition.split(" && ")
        if "always()" not in parts and self.failed:
            return False
        for part in parts:
            if part != "always()":
                name, sign, value = part.split()
                if (self.known[name] == value.strip("'")) != (sign == "=="):
                    return False
        return True

    def run(self) -> None:
        for step in self.action["runs"]["steps"]:
            if self.holds(step.get("if", "always()" if not self.failed else "success")):
                self.step(step)

    def step(self, step: dict[str, Any]) -> None:
        given = {name: self.filled(value) for name, value in (step.get("with") or {}).items()}
        uses = step.get("uses", "").partition("@")[0]
        kept = self.folder / "cache"
        if uses == "actions/cache/restore" and kept.exists():
            shutil.copytree(kept, given["path"])
        elif uses == "actions/cache/save":
            shutil.copytree(given["path"], kept, dirs_exist_ok=True)
        elif uses == "actions/upload-artifact":
            self.artifact = sorted(path.name for path in Path(given["path"]).iterdir())
        elif not uses:
            own = {name: self.filled(value) for name, value in step["env"].items()}
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", self.filled(step["run"])], cwd=self.folder, env={**self.environment, **own},
                capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            self.failed |= done.returncode != 0
            self.said = done.stdout + done.stderr


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gh").write_text(GH)
    (tmp_path / "bin" / "gh").chmod(0o755)
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "checks.py").write_text(CHECKS)
    (tmp_path / "cases.jsonl").write_text("\n".join(map(json.dumps, CASES)))
    others = [
        {"id": 1, "user": "User", "body": "<!-- evalspan gate: ci, gate, 0 -->\nspoofed"},
        {"id": 2, "user": "Bot", "body": "coverage"},
    ]
    (tmp_path / "comments.json").write_text(json.dumps(others))
    return tmp_path


class Counting(Model):
    asked = 0

    def do_POST(self) -> None:  # noqa: N802 - the server's name for it
        type(self).asked += 1
        super().do_POST()


@pytest.fixture
def model_url() -> Iterator[str]:
    Counting.asked = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Counting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()


@pytest.mark.slow
def test_a_gate_that_fails_keeps_answers_uploads_reports_and_comments_once(repository: Path, model_url: str) -> None:
    inputs = {
        "dataset": "cases.jsonl",
        "target": "app:answer",
        "suite": "checks:SUITE",
        "version": "none",
        "comment": "true",
    }
    for run in (1, 2):
        runner = Runner(repository, inputs, model_url, run)
        runner.run()
        assert runner.failed
        assert "verdict=failed" in (runner.temp / "outputs").read_text()
        assert {"gate.json", "gate.md", "gate.xml"} <= set(runner.artifact)
        assert Counting.asked == 3, "the second run asks the model nothing"
    assert ET.parse(runner.temp / "evalspan" / "gate.xml").getroot().findall(".//failure")
    spoofed, coverage, *own = json.loads((repository / "comments.json").read_text())
    assert (spoofed["body"].endswith("spoofed"), coverage["body"]) == (True, "coverage")
    assert len(own) == 1
    assert "failed" in own[0]["body"]


def test_a_gate_that_never_ran_comments_nothing_and_fails(repository: Path, model_url: str) -> None:
    inputs = {
        "dataset": "nowhere.jsonl",
        "target": "app:answer",
        "suite": "checks:SUITE",
        "version": "none",
        "comment": "true",
    }
    runner = Runner(repository, {**inputs, "cache": "false"}, model_url, 1)
    runner.run()
    assert runner.failed
    assert "verdict=error" in (runner.temp / "outputs").read_text()
    assert len(json.loads((repository / "comments.json").read_text())) == 2


# What pip is asked for is written down; the installed evalspan is this one.
PIP = """#!/usr/bin/env python3
import sys
open(__file__ + ".log", "a").write(repr(sys.argv[1:]) + "\\n")
"""


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["gitlab", "shell"])
def test_the_other_recipes_run_as_they_stand_and_keep_reports_and_answers(
    recipe: str, repository: Path, model_url: str
) -> None:
    blocks = re.findall(r"```(?:yaml|bash)\n(.*?)```", (ACTION.parents[2] / "docs" / "ci.md").read_text(), re.DOTALL)
    if recipe == "gitlab":
        job = yaml.safe_load(next(block for block in blocks if block.startswith("gate:")))["gate"]
        assert "slim" not in job["image"]  # pip brings a tag with git, which the slim images have not
        assert job["artifacts"]["when"] == job["cache"]["when"] == "always"
        lines, given = job["script"], job["variables"]
        outputs = [*job["artifacts"]["paths"], job["artifacts"]["reports"]["junit"], *job["cache"]["paths"]]
    else:
        lines = next(block for block in blocks if block.startswith("pip install")).splitlines()
        given, outputs = {}, ["gate.xml", "gate.json"]
    (repository / "evals").mkdir()
    (repository / "evals" / "support.jsonl").write_text((repository / "cases.jsonl").read_text())
    (repository / "evals" / "suite.py").write_text(CHECKS.replace("SUITE", "suite"))
    pip = repository / "bin" / "pip"
    pip.write_text(PIP)
    pip.chmod(0o755)
    environment = {
        **os.environ,
        **{name: value.replace("$CI_PROJECT_DIR", str(repository)) for name, value in given.items()},
        "PATH": f"{repository / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OPENAI_BASE_URL": model_url,
        "OPENAI_API_KEY": "k",
    }
    script = "set -e\n" + "\n".join(lines)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 3, done.stderr  # the model names an invented price
    assert "evalspan[evaluators] @ git+https://" in Path(f"{pip}.log").read_text()
    assert [name for name in outputs if not (repository / name).exists()] == []
    assert ET.parse(repository / "gate.xml").getroot().find(".//failure") is not None
