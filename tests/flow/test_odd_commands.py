"""Whatever is typed behind a command, it ends with an exit code that means something, and never with "unexpected"."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from evalspan.__main__ import cli, main

from ..collector.serving import Collector, serving
from ..collector.traffic import request_of

CALLS = 250
# They serve, follow, tell the whole story, run somebody's script, or are another command's business.
ELSEWHERE = {"serve", "demo", "run", "tail", "migrate"}
ODD = (
    "", "0", "-1", "1e9", "NaN", "'", '"', "é💥", "a" * 3000, "2026-13-45", "99999w", "0001-01-01", "9999-12-31", "../..",
    "/", "good.jsonl", "bad.jsonl", "empty.jsonl", "binary.jsonl", "missing.jsonl", "odd_app:answer", "odd_app:SUITE",
    "odd_app:boom", "odd_app:nope", "nope:x", "a:b:c", "golden", "*", "\\", "1=1", "SELECT", "x=y", "=", "7d", "support",
)  # fmt: skip
KNOWN = {0, 2, 3, 4, 5, 6}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with serving(tmp_path_factory.mktemp("odd") / "store", "--sql-port", "0") as running:
        assert running.post(request_of(30).SerializeToString()).status == 200
        yield running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: Collector) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVALSPAN_STORE", f"chdb://{service.path}")
    example = '{"id": "a", "partition": "golden", "input": {"q": "x"}, "expected_output": "y"}\n'
    Path("good.jsonl").write_text(example)
    Path("bad.jsonl").write_text('{"id": 1}\n[]\nnot json\n')
    Path("empty.jsonl").touch()
    Path("binary.jsonl").write_bytes(b"\xff\xfe\x00")
    Path("odd_app.py").write_text(
        "from evalspan.evaluators import exact_match\n"
        "SUITE = [exact_match]\n"
        "def answer(given): return str(given)\n"
        "def boom(given): raise RuntimeError('no')\n"
    )


def commands(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            found = group.get_command(context, name)
            if found is not None and name not in ELSEWHERE:
                yield from commands(found, (*path, name))
    else:
        yield path, group


def typed(path: tuple[str, ...], command: click.Command, rng: random.Random) -> list[str]:
    """The command with some of its arguments and options, well or badly chosen."""
    words = list(path)
    for one in command.params:
        if isinstance(one, click.Argument):
            if one.required or rng.random() < 0.5:
                words.append(rng.choice((*ODD, *["good.jsonl", "odd_app:answer"] * 5)))
        elif isinstance(one, click.Option) and rng.random() < (0.7 if one.required else 0.15):
            if one.name in ("follow", "watch"):
                continue
            words.append(one.opts[0])
            if not one.is_flag:
                choices = one.type.choices if isinstance(one.type, click.Choice) else ()
                words.append(str(rng.choice(tuple(choices))) if choices and rng.random() < 0.7 else rng.choice(ODD))
    return words


@pytest.mark.timeout(300)
def test_no_argument_or_option_makes_a_command_fail_unexpectedly(
    folder: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVALSPAN_TRACEBACK", raising=False)
    rng = random.Random(7)
    every = list(commands(cli))
    assert len(every) > 30
    for number in range(CALLS):
        words = typed(*every[number % len(every)], rng)
        monkeypatch.setattr("sys.stdin", io.StringIO(""))
        with pytest.raises(SystemExit) as ended:
            main(words)
        said = capsys.readouterr()
        assert ended.value.code in KNOWN, (words, said.err[-1000:])
        assert "Traceback" not in said.out + said.err, words
