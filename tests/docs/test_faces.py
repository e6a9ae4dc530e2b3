"""The two faces: what `import evalspan` and `evalspan VERB` promise to strangers."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import evalspan
from evalspan.__main__ import COMMANDS, cli
from evalspan.errors import StoreUnreachable

ROOT = Path(__file__).parents[2]
EVALSPAN = [sys.executable, "-m", "evalspan"]


def run(*arguments: str, code: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code] if code else [*EVALSPAN, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, "NO_COLOR": "1"})


def test_the_public_names_are_sorted_and_all_there() -> None:
    assert evalspan.__all__ == sorted(evalspan.__all__)
    for name in evalspan.__all__:
        assert getattr(evalspan, name) is not None


def test_an_unknown_name_is_an_attribute_error_that_says_what_there_is() -> None:
    with pytest.raises(AttributeError, match="observe"):
        _ = evalspan.nothing_of_the_kind


def test_importing_evalspan_loads_neither_sdks_nor_the_store_nor_numpy() -> None:
    heavy = "'openai', 'anthropic', 'numpy', 'scipy', 'chdb', 'clickhouse_connect', 'aiohttp', 'rich', 'pandas'"
    done = run(code=f"import sys, evalspan; evalspan.init; print([m for m in ({heavy}) if m in sys.modules])")
    assert done.stdout.strip() == "[]", done.stderr


def test_help_imports_none_of_the_verbs() -> None:
    done = run(
        code="import sys\nfrom evalspan.__main__ import main\n"
        "try: main(['--help'])\nexcept SystemExit as e: assert not e.code\n"
        "print(sorted(m for m in sys.modules if m.startswith('evalspan.') and '.cli' in m))"
    )
    assert done.stdout.strip().endswith("[]"), done.stderr
    for name in COMMANDS:
        assert name in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    done = run(name, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage: evalspan" in done.stdout


def leaves(command: click.Command, *path: str) -> Iterator[tuple[str, ...]]:
    if not isinstance(command, click.Group):
        yield path
        return
    for name in command.list_commands(click.Context(command)):
        inner = command.get_command(click.Context(command), name)
        assert inner is not None
        yield from leaves(inner, *path, name)


def test_every_command_takes_no_input_and_none_shows_clicks_marks() -> None:
    for path in leaves(cli):
        said = CliRunner().invoke(cli, [*path, "--help"]).stdout
        assert "--no-input" in said, path
        assert "\\b" not in said, path


@pytest.mark.parametrize("verb", ["traces", "queries", "alert"])
def test_a_verb_that_lists_does_so_without_being_told(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALSPAN_STORE", "http://127.0.0.1:9/")
    named = [CliRunner().invoke(cli, [verb, *more, "--format", "json", "--no-input"]) for more in ([], ["list"])]
    wanted = type(None) if verb == "queries" else StoreUnreachable
    assert [type(one.exception) for one in named] == [wanted] * 2
    assert named[0].stdout == named[1].stdout


def test_no_color_keeps_terminal_codes_out_of_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool | None] = []
    probe = click.Command("probe", callback=lambda: asked.append(click.get_current_context().color))
    monkeypatch.setattr(type(cli), "get_command", lambda *_: probe)
    for value in ("1", ""):
        monkeypatch.setenv("NO_COLOR", value)
        CliRunner().invoke(cli, ["sql"])
    assert asked == [False, None]


def test_a_reader_that_goes_away_never_turns_into_success() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone:
        done = subprocess.run([*EVALSPAN, "queries"], stdout=gone, stderr=subprocess.PIPE, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (141, "")


def test_an_unknown_verb_is_refused_with_a_suggestion_and_exit_2() -> None:
    done = run("sevre")
    assert done.returncode == 2
    assert "serve" in done.stderr


def test_an_unknown_option_is_refused_with_exit_2() -> None:
    done = run("--nope")
    assert done.returncode == 2
    assert "--nope" in done.stderr


def test_a_path_that_cannot_be_is_refused_with_exit_2_and_the_reason() -> None:
    for arguments in (["dataset", "new", "a" * 3000], ["config", "check", "a" * 3000]):
        done = run(*arguments)
        assert done.returncode == 2
        assert "File name too long" in done.stderr
        assert len(done.stderr) < 500


def test_a_missing_extra_is_named_with_the_line_that_installs_it() -> None:
    done = run(code="import sys; sys.modules['chdb'] = None; sys.modules['clickhouse_connect'] = None\n"
               "from evalspan.__main__ import main; main(['sql', 'SELECT 1'])")  # fmt: skip
    assert done.returncode == 1
    assert "evalspan[server]" in done.stderr
    assert "needs the packages chdb, clickhouse_connect, which are not installed" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_root_holds_only_the_faces_and_the_errors_as_python_files() -> None:
    assert {path.name for path in ROOT.glob("*.py")} == {
        "__init__.py",
        "__main__.py",
        "errors.py",
        "notebook.py",
        "web.py",
    }


def test_the_documentation_links_only_to_pages_that_exist() -> None:
    import re

    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def test_the_type_checkers_see_the_same_names_as_the_interpreter() -> None:
    module = ast.parse((ROOT / "__init__.py").read_text())
    typed = {
        alias.asname for node in ast.walk(module) if isinstance(node, ast.ImportFrom) for alias in node.names
        if alias.asname
    }  # fmt: skip
    assert typed == set(evalspan.__all__)
