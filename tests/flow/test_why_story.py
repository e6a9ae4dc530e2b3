"""The brief's story from OTLP to the answer: calls come in, are scored online, and `evalspan why` names what happened."""

from __future__ import annotations

import pytest

from benchmarks.why.story import CAUSES, ask, right, tell
from evalspan.queries.store.client import Store

SEEDS = {"prompt mix documents": (7, 8), "nothing": (3,)}
"""Seeds of which `benchmarks/why` has a hundred for every story; 7 and 8 date the change half a day off."""


@pytest.mark.parametrize("story", SEEDS)
def test_a01_the_causes_of_a_fall_come_first_and_none_where_nothing_happened(store: Store, story: str) -> None:
    for seed in SEEDS[story]:
        project = f"told-{story.replace(' ', '-')}-{seed}"
        tell(store, project, story, seed)
        found = ask(store, project)
        assert right(story, found), (seed, found.candidates, CAUSES[story])
        if "prompt" in story:
            assert "+Wish everybody happy holidays, with ho ho ho!" in found.prompt_diff
            assert len(found.traces) == 3
            assert {split.dimension for split in found.by_dimension} == {"segment"}
