"""What the documentation shows can be run: commands and options exist, SQL is accepted, settings are valid, Python imports."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

from evalspan.__main__ import COMMANDS, cli
from evalspan.collector.config import check_config

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "tutorials").glob("*.md")),
]
FENCE = re.compile(r"^( *)```(\w+)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    place: str
    language: str
    text: str


def blocks(*languages: str) -> list[Any]:
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in FENCE.finditer(text):
            if match[2] in languages:
                line = text[: match.start()].count("\n") + 1
                block = Block(f"{page.relative_to(ROOT)}:{line}", match[2], match[3])
                found.append(pytest.param(block, id=block.place))
    return found


@pytest.mark.parametrize("block", blocks("python"))
def test_python_in_the_documentation_parses_and_imports_what_exists(block: Block) -> None:
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "evalspan":
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                assert hasattr(module, alias.name) or importlib.import_module(f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "evalspan":
            module = importlib.import_module("evalspan")
            assert hasattr(module, node.attr), f"{block.place}: evalspan.{node.attr}"


@pytest.mark.parametrize("block", blocks("toml"))
def test_settings_in_the_documentation_are_valid(block: Block, tmp_path: Path) -> None:
    if "[tool." in block.text or "[project" in block.text:
        return  # pyproject.toml's, not ours
    path = tmp_path / "evalspan.toml"
    path.write_text(block.text)
    _, mistakes = check_config(path, environment={})
    assert not mistakes, f"{block.place}: {[str(one) for one in mistakes]}"


def commands() -> list[Any]:
    found = []
    for parameter in blocks("console", "bash", "sh"):
        block: Block = parameter.values[0]
        text = block.text.replace("\\\n", " ")
        for line in text.splitlines():
            written = re.sub(r"^\s*(\$|>)\s+", "", line).strip()
            if match := re.search(r"(?:^|&& |; |\| |-m )evalspan (.+)", written):
                found.append(pytest.param(block.place, match[1], id=f"{block.place} {match[1][:60]}"))
    return found


@pytest.mark.parametrize(("place", "written"), commands())
def test_commands_in_the_documentation_exist_with_their_options(place: str, written: str) -> None:
    try:
        words = shlex.split(written, comments=True)
    except ValueError:
        return  # a statement that goes on in the next line
    stop = next(
        (i for i, word in enumerate(words) if word in ("&", "&&", "|", ";", ">", ">>", "2>&1") or word[:1] in ">|"),
        len(words),
    )
    words = words[:stop]
    if not words or words[0].startswith("-"):
        return
    assert words[0] in COMMANDS, f"{place}: evalspan {words[0]}"
    context = click.Context(cli)
    command = cli.get_command(context, words[0])
    rest = words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-") and rest[0] in command.commands:
        command = command.commands[rest[0]]
        rest = rest[1:]
    assert command is not None
    if words[0] == "run" or "..." in written:
        return
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {
        "--help",
        "-h",
    }
    options = {word.partition("=")[0] for word in rest if word.startswith("--")}
    assert options <= known, f"{place}: evalspan {written}: no {options - known}"


def statements() -> list[Any]:
    found = list(blocks("sql"))
    for parameter in commands():
        place, written = parameter.values
        if match := re.match(r'sql (?:-\S+ )*"([^"]+)"', written):
            found.append(pytest.param(Block(place, "sql", match[1]), id=f"{place} sql"))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("block", statements())
def test_sql_in_the_documentation_is_accepted(block: Block, store: Any) -> None:
    for statement in re.split(r";\s*(?:\n|$)", re.sub(r"^\s*--.*$", "", block.text, flags=re.MULTILINE)):
        text = statement.strip()
        if not text or not re.match(r"(?i)(WITH|SELECT)\b", text) or "..." in text or re.search(r"\{\w+:", text):
            continue
        store.query_untrusted(re.sub(r"(?i)\s+FORMAT\s+\w+\s*$", "", text))
