"""The rules that keep the project readable, held by a test because nobody remembers them all."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("instrument", "queries", "evaluators", "dashboard", "collector")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 60
JUNK_DRAWERS = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
SQL = re.compile(r"\bSELECT\b[\s\S]+\bFROM\b|\bINSERT INTO\b|\b(CREATE|ALTER|DROP) (TABLE|VIEW|DATABASE)\b")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


def strings_that_are_not_docstrings(path: Path) -> list[str]:
    module = tree(path)
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(module)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation
    ]


def without_encoding(call: ast.Call) -> bool:
    """Whether it reads or writes a text in the encoding of the machine, which is not UTF-8 everywhere."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    named = {keyword.arg for keyword in call.keywords}
    if "encoding" in named:
        return False
    if name in ("read_text", "write_text"):
        return len(call.args) <= (name == "write_text")
    if name in ("run", "Popen", "check_output"):
        return bool(named & {"text", "universal_newlines"})
    words = [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
    words += [keyword.value.value for keyword in call.keywords if isinstance(keyword.value, ast.Constant)]
    modes = [word for word in words if isinstance(word, str) and re.fullmatch(r"[rwax]b?\+?b?", word)]
    return name == "open" and (isinstance(call.func, ast.Name) or bool(modes)) and not any("b" in one for one in modes)


def test_no_text_is_read_or_written_in_the_machine_s_own_encoding() -> None:
    found = [
        f"{label(path)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and without_encoding(node)
    ]
    assert not found


def test_every_file_opens_with_a_sentence_on_what_it_is_for() -> None:
    silent = [label(path) for path in FILES if len((ast.get_docstring(tree(path)) or "").split("\n\n")[0]) <= 20]
    assert not silent


@pytest.mark.parametrize("folder", FOLDERS)
def test_files_and_functions_stay_small_enough_to_read(folder: str) -> None:
    for path in FILES:
        if label(path).startswith(f"{folder}/"):
            check_size(path)


def check_size(path: Path) -> None:
    lines = path.read_text().count("\n")
    assert lines <= MAX_FILE_LINES, f"{label(path)} has {lines} lines; split it by what its parts are for"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            said = (ast.get_docstring(node, clean=False) or "").count("\n")
            size = (node.end_lineno or node.lineno) - node.lineno + 1 - said
            assert size <= MAX_FUNCTION_LINES, f"{label(path)}:{node.lineno} {node.name} has {size} lines"


def test_there_is_no_junk_drawer() -> None:
    assert not [label(path) for path in FILES if path.stem.strip("_") in JUNK_DRAWERS]


def test_only_queries_knows_the_database_driver() -> None:
    assert not [
        label(path) for path in FILES if path.parts[-2:] and {"chdb", "clickhouse_connect"} & imported(path)
        and not label(path).startswith("queries/")
    ]  # fmt: skip


def test_only_what_listens_on_a_port_knows_the_web_server() -> None:
    listening = ("collector/", "dashboard/", "queries/http/")
    assert not [label(path) for path in FILES if "aiohttp" in imported(path) and not label(path).startswith(listening)]


def test_sql_lives_in_queries_only() -> None:
    strays = {
        label(path): found[0][:80]
        for path in FILES
        if not label(path).startswith("queries/")
        and (found := [t for t in strings_that_are_not_docstrings(path) if SQL.search(t) and "evalspan sql" not in t])
    }
    assert not strays


def test_the_instrumentation_needs_nothing_but_opentelemetry_wrapt_msgspec_and_click() -> None:
    light = {"opentelemetry", "wrapt", "msgspec", "click", "evalspan", "openai", "anthropic", "google"}
    import sys

    for path in FILES:
        if label(path).startswith("instrument/"):
            heavy = imported(path) - light - set(sys.stdlib_module_names)
            assert not heavy, f"{label(path)} imports {heavy}"


def test_nobody_leaves_a_note_to_self() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    assert not [label(path) for path in FILES if marks.search(path.read_text())]


def test_b41_times_are_aware_and_loops_are_the_running_one() -> None:
    naive = re.compile(r"\butcnow\(|\butcfromtimestamp\(|\bdatetime\.now\(\)|\bget_event_loop\(")
    assert not [label(path) for path in FILES if naive.search(path.read_text())]


def relative_imports(path: Path) -> set[str]:
    """The modules of ours that a file imports, also those it imports for types only or inside functions."""
    package = [*path.parent.relative_to(ROOT).parts]
    found = set()
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = [*package[: len(package) - node.level + 1], *(node.module.split(".") if node.module else [])]
        for alias in node.names:
            inner = ROOT.joinpath(*base, alias.name)
            is_module = inner.with_suffix(".py").is_file() or (inner / "__init__.py").is_file()
            found.add(".".join([*base, alias.name] if is_module else base))
    return found


def test_no_import_circle_exists_not_even_for_types() -> None:
    def name(path: Path) -> str:
        return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")

    imports = {name(path): relative_imports(path) for path in FILES}
    # Whatever imports nothing that is left is in no circle; what stays at the end is one, or imports one.
    left = dict(imports)
    while free := [module for module, wanted in left.items() if not (wanted & left.keys()) - {module}]:
        for module in free:
            del left[module]
    while unused := [module for module in left if not any(module in wanted for wanted in left.values())]:
        for module in unused:
            del left[module]
    assert not left, f"import circles among {sorted(left)}"
