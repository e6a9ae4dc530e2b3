"""Three frameworks for real, in environments of their own: what the recordings were made of still comes out today."""

from __future__ import annotations

import pytest

from evalspan.queries.store.client import Store

from .model_server import model_server
from .running import run
from .truth import Stored, faults

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("name", ["langchain", "openai_agents", "pydantic_ai"])
def test_the_one_line_gives_whole_trees_with_exact_tokens(name: str, store: Store) -> None:
    with model_server() as (address, runs):
        recording = run(name, "one", address, runs)
    recording.mode = "real"
    assert faults(Stored(recording, store)) == []


@pytest.mark.parametrize("name", ["langchain", "openai_agents", "pydantic_ai"])
def test_content_switched_off_is_off_for_the_whole_tree(name: str) -> None:
    with model_server() as (address, runs):
        run(name, "one", address, runs, OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="NO_CONTENT")
        bodies = b"".join(runs.exports[f"{name}.one"])
    assert b"invoke_agent" in bodies
    for said in (b"What is the weather", b"It is sunny", b"sunny in Lisbon"):
        assert said not in bodies
