"""What 21 frameworks really exported under the one line, replayed: each request once, in its place, with its tokens."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from evalspan.queries import named_query
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


def test_a_root_that_states_an_empty_list_of_messages_shows_the_first_calls_question(store: Store) -> None:
    rows = stored(RECORDINGS / "semantic_kernel.one.msgpack.gz", store).rows
    until = max(row["start_ns"] for row in rows) // 10**9 + 60
    listed = named_query("latest_traces").run(store, project="framework-semantic_kernel-one", until=str(until))
    assert all("What is the weather in Lisbon?" in row["input"] for row in listed.dicts())
    assert len(listed.rows) > 1
