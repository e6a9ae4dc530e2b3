"""Writes the tests that hold each line of the brief into docs/requirements.md: python -m tests.docs.requirements"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "requirements.md"
ROW = re.compile(r"^\| ([A-Z]\d{2}) \| (.*?) \|[^|]*\|$", re.MULTILINE)


def holders_by_id() -> dict[str, list[str]]:
    """The ids in the names of tests, `test_d03_...` or `test_x03_x04_...`, with file and name of each."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                for one in re.match(r"test_((?:[a-z]\d{2}_)*)", node.name)[1].split("_")[:-1]:  # type: ignore[index]
                    found[one.upper()].append(f"{path.relative_to(ROOT)}::{node.name}")
    return found


def rewritten(page: str) -> str:
    """The page with its last column made anew."""
    held = holders_by_id()

    def row(match: re.Match[str]) -> str:
        tests = ", ".join(f"`{one}`" for one in held.get(match[1], [])) or elsewhere(match[0])
        return f"| {match[1]} | {match[2]} | {tests} |"

    return ROW.sub(row, page)


def elsewhere(row: str) -> str:
    """What stands there for a line that no test is named after: where it is held instead."""
    written = row.rstrip("|").rpartition("|")[2].strip()
    return written if written and not written.startswith("`tests/") else "documented"


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text()))
