"""Says whether a golden set still tells versions apart: one that everything passes measures nothing any more (D13)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from ...queries.near_duplicates import clusters
from ..experiments.record import Experiment
from .example import Example

LONG_CONTEXT = 4000  # characters

# Kinds of difficulty that a golden set should hold; named in metadata.difficulty or a tag, else seen in the text.
KINDS = ("multi_step", "ambiguous", "near_duplicate", "long_context", "should_refuse", "numbers_or_dates")
_NUMBER = re.compile(r"\d")


class DifficultyReport(msgspec.Struct, frozen=True):
    """How the examples fared over runs, and which kinds of difficulty there are."""

    runs: int
    always_passed: list[str]
    never_passed: list[str]
    discriminating: list[str]
    """Passed in some runs and not in others: these are what a comparison lives on."""
    kinds: dict[str, int]
    warnings: list[str]


def difficulty(examples: Sequence[Example], runs: Sequence[Experiment]) -> DifficultyReport:
    """The report over the runs of different versions; without runs only the kinds are said."""
    verdicts: dict[str, list[bool]] = defaultdict(list)
    for run in runs:
        for result in run.results:
            verdicts[result.example_id].append(result.passed is True)
    ids = [example.id for example in examples if verdicts[example.id]]
    always = [name for name in ids if all(verdicts[name])]
    never = [name for name in ids if not any(verdicts[name])]
    kinds = _kinds(examples)
    return DifficultyReport(
        runs=len(runs),
        always_passed=always,
        never_passed=never,
        discriminating=[name for name in ids if name not in {*always, *never}],
        kinds=kinds,
        warnings=_warnings(len(runs), len(ids), len(always), kinds),
    )


def _kinds(examples: Sequence[Example]) -> dict[str, int]:
    counts = dict.fromkeys(KINDS, 0)
    alike = clusters([example.input_text for example in examples], threshold=0.5)
    twins = {number for group in alike if len(group) > 1 for number in group}
    for number, example in enumerate(examples):
        declared = example.metadata.get("difficulty") or []
        named = {*([declared] if isinstance(declared, str) else declared), *example.tags}
        seen = {
            "near_duplicate": number in twins,
            "long_context": len(example.input_text) + len(str(example.metadata.get("context", ""))) >= LONG_CONTEXT,
            "numbers_or_dates": bool(_NUMBER.search(example.expected_output or "")),
        }
        for kind in KINDS:
            counts[kind] += kind in named or seen.get(kind, False)
    return counts


def _warnings(runs: int, measured: int, always: int, kinds: dict[str, int]) -> list[str]:
    found = []
    if runs >= 2 and measured and always == measured:
        found.append(
            f"every one of {runs} runs passed all {measured} examples: the set is too easy to tell versions apart"
        )
    elif runs >= 2 and measured and always > 0.9 * measured:
        found.append(f"{always} of {measured} examples passed in every run: add harder ones")
    missing = [kind for kind, count in kinds.items() if not count]
    if missing:
        found.append(f"no example is {', '.join(missing)}")
    return found
