"""What is shipped is what is there."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("instrument", "queries", "evaluators", "dashboard", "collector")


def data_folders() -> set[str]:
    """Folders without code that could be imported by their names: unlisted, each costs whoever installs from source a page
    of warnings.
    """
    kept = subprocess.run(["git", "ls-files", *FOLDERS], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {".".join(["evalspan", *Path(name).parent.parts]) for name in kept.splitlines()}


def test_every_package_is_listed_so_that_the_wheel_has_it() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    there = {"evalspan"} | {
        ".".join(["evalspan", *path.parent.relative_to(ROOT).parts])
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert listed == there | data_folders()
