"""Somebody who follows docs/architecture.md finds every file and folder it names, and it names every room there is."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text()
FOLDERS = ("instrument", "queries", "evaluators", "dashboard", "collector")


def test_every_place_that_the_page_names_is_there() -> None:
    named = {one for one in re.findall(r"`([\w./-]+)`", TEXT) if "/" in one or one.endswith(".py")}
    missing = sorted(one for one in named if not (ROOT / one).exists() and one != "anthropic/")
    assert not missing


def test_every_room_is_named() -> None:
    rooms = {
        f"{folder}/{path.name}/"
        for folder in FOLDERS
        for path in (ROOT / folder).iterdir()
        if path.is_dir() and path.name != "__pycache__" and any(path.rglob("*.py"))
    }
    assert not sorted(room for room in rooms if f"`{room}`" not in TEXT)
