"""What 21 frameworks really exported under the one line, replayed: each request once, in its place, with its tokens."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from evalspan.queries.store.client import Store

from .catalog import CASES, JAVASCRIPT
from .recording import RECORDINGS, load
from .truth import Stored, faults

PATHS = sorted(RECORDINGS.glob("*.one.msgpack.gz"))


@cache
def stored(path: Path, store: Store) -> Stored:
    return Stored(load(path), store)


def test_every_framework_of_the_catalog_has_a_recording() -> None:
    assert {path.name.split(".")[0] for path in PATHS} == {*CASES, *JAVASCRIPT}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name.split(".")[0])
def test_each_request_is_one_call_in_its_place(path: Path, store: Store) -> None:
    assert faults(stored(path, store)) == []


def test_recordings_name_no_machine() -> None:
    for path in PATHS:
        for body in load(path).bodies:
            assert b"/tmp/" not in body, path.name
            assert b"/home/" not in body, path.name
