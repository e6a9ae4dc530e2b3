"""What is shipped is what is there."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("instrument", "queries", "evaluators", "dashboard", "collector")
# Folders without code that could be imported by their names: unlisted, each costs whoever installs from source a page of
# warnings.
DATA = {
    "evalspan.dashboard.static",
    "evalspan.dashboard.static.licences",
    "evalspan.dashboard.templates",
    "evalspan.collector.demo.data",
    "evalspan.evaluators.judges.prompts",
    "evalspan.queries.schema",
    "evalspan.queries.sql",
    "evalspan.queries.sql.pages",
    "evalspan.queries.sql.parts",
}


def test_every_package_is_listed_so_that_the_wheel_has_it() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    there = {"evalspan"} | {
        ".".join(["evalspan", *path.parent.relative_to(ROOT).parts])
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert listed == there | DATA
