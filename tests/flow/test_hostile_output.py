"""Every command there is, over rows that strangers filled with hostile text: nothing that it prints runs anything."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from evalspan.__main__ import cli, main

from ..collector.serving import JSON, Collector, serving
from ..queries.test_untrusted_text import dangerous
from .test_odd_commands import commands

MARK = "hostile-mark"
HOSTILE = (
    f"=1+1 {MARK} \x1b]0;title\x07\x1b[2J\x9b31m\u202eexe\U000e0041\x85\n::add-mask::x\n  ::stop-commands::t\n##[error]y"
    "\n![i](https://evil.example/x.png)"
)
TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
# What a required argument is given, by its name; anything else gets the hostile text itself.
GIVEN = {
    "query": "SELECT * FROM spans", "statement": "SELECT * FROM spans", "trace": TRACE, "trace_id": TRACE, "name": "trace",
    "metric": "error_rate",
}  # fmt: skip


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    path = tmp_path_factory.mktemp("hostile") / "store"
    with serving(path, "--sql-port", "0", settings="[receive]\nflush_ms = 50\n") as running:
        now = time.time_ns()
        attributes = [
            {"key": key, "value": {"stringValue": HOSTILE}}
            for key in (
                "gen_ai.request.model", "gen_ai.prompt.name", "gen_ai.prompt.version", "gen_ai.conversation.id", "user.id",
                "error.type", "gen_ai.tool.name", "gen_ai.agent.name", HOSTILE,
            )
        ]  # fmt: skip
        attributes.append({"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}})
        for kind in ("input", "output"):
            message = json.dumps([{"role": "user", "parts": [{"type": "text", "content": HOSTILE}]}])
            attributes.append({"key": f"gen_ai.{kind}.messages", "value": {"stringValue": message}})
        span = {
            "traceId": TRACE, "spanId": SPAN, "name": HOSTILE, "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 10**6),
            "attributes": attributes, "status": {"code": 2, "message": HOSTILE},
        }  # fmt: skip
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": HOSTILE}}]}
        body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
        assert running.post(json.dumps(body).encode(), JSON).status == 200
        owner = {"Authorization": f"Bearer {running.owner['token']}"}
        score = {
            "evaluation_id": "00000000-0000-0000-0000-000000000001", "name": HOSTILE, "source": "code", "trace_id": TRACE,
            "span_id": SPAN, "explanation": HOSTILE, "label": HOSTILE, "passed": "fail", "score": 0.1,
        }  # fmt: skip
        example = {"dataset": HOSTILE, "example_id": "x", "partition": "regression", "input": HOSTILE}
        for table, row in (("evaluations", score), ("examples", example)):
            answer = running.post(json.dumps(row).encode(), "application/x-ndjson", f"/api/v1/rows/{table}", **owner)
            assert answer.status == 200, answer.body
        yield running


def invocations() -> Iterator[list[str]]:
    """Each command with what it requires, in each of its formats."""
    for path, command in commands(cli):
        words = list(path)
        for one in command.params:
            given = GIVEN.get(one.name or "", HOSTILE)
            if isinstance(one, click.Argument) and one.required:
                words.append(given)
            elif isinstance(one, click.Option) and one.required:
                words += [one.opts[0], given]
        formats = next(
            (
                one.type.choices
                for one in command.params
                if one.name in ("format", "format_", "output_format") and isinstance(one.type, click.Choice)
            ),
            (),
        )
        yield words
        yield from ([*words, "--format", str(one)] for one in formats if one != "json")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_command_prints_what_a_terminal_or_a_runner_would_run(
    service: Collector, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVALSPAN_STORE", f"chdb://{service.path}")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    every = list(invocations())
    assert len(every) > 60
    showing = 0
    for words in every:
        monkeypatch.setattr("sys.stdin", io.StringIO(""))
        with pytest.raises(SystemExit):
            main(words)
        said = capsys.readouterr()
        for text in (said.out, said.err):
            assert not dangerous(_without_our_colours(text)), words
            lines = [line.strip().lstrip("\ufeff") for line in text.splitlines()]
            ours = (
                "::error file=",
                "::warning file=",
                "::group::",
                "::endgroup::",
                "::stop-commands::evalspan-",
                "::evalspan-",
            )
            assert not [line for line in lines if line.startswith("::") and not line.startswith(ours)], words
            assert "##[" not in text
        lines = [line.strip() for line in said.out.splitlines()]  # what goes to stderr is talk
        if "csv" in words:
            assert not any(line.startswith(("=", '"=')) for line in lines), words
        if "markdown" in words:
            assert "![" not in said.out.replace("\\!", ""), words
        showing += MARK in said.out
    assert showing > 10, "hardly a command showed the text: this proved nothing"


def _without_our_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-KSTfhlmnsu]", "", text).replace("\r", "")
