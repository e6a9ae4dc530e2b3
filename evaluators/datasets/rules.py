"""The rules of the four partitions: what `validate` reports, errors that the gate refuses and advice with its reason."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import msgspec

from ...queries.near_duplicates import normalize
from .approval import how_to_approve, why_unapproved
from .example import Example

if TYPE_CHECKING:
    from .examples_view import ExamplesView

# (least, most) examples, from the brief: the golden bar is curated by hand, the distribution set is a sample.
SIZES = {"golden": (50, 200), "distribution": (500, 5000)}

# What an adversarial set must hold; an example names its kind in metadata.kind or in a tag.
ADVERSARIAL_KINDS = ("empty_input", "long_input", "unexpected_language", "jailbreak", "out_of_scope")

# Who attacks depends on the task: people who talk to the application, or what is asked of a writer of code.
THREATS = ("angry_user", "confused_user", "information_extraction")
CODE_THREATS = ("ambiguous_requirements", "security_sensitive")

LONG_INPUT = 4000  # characters


class Problem(msgspec.Struct, frozen=True):
    """One thing that is not as it should be, and what to do about it."""

    severity: Literal["error", "warning"]
    code: str
    message: str
    hint: str = ""
    example_id: str = ""


def check(dataset: ExamplesView) -> list[Problem]:
    """All problems of a dataset, errors first."""
    found = [
        *_sizes(dataset),
        *_approval(dataset),
        *_regression(dataset),
        *_adversarial(dataset),
        *_duplicates(dataset),
        *_distribution(dataset),
    ]
    return sorted(found, key=lambda problem: problem.severity != "error")


def kinds_of(example: Example) -> set[str]:
    """The adversarial kinds that an example covers: declared ones, and those that its input shows by itself."""
    declared = example.metadata.get("kind") or []
    names = {str(name).lower().replace("-", "_").replace(" ", "_") for name in [*_list(declared), *example.tags]}
    text = example.input_text
    if not text.strip():
        names.add("empty_input")
    if len(text) >= LONG_INPUT:
        names.add("long_input")
    return names


def _sizes(dataset: ExamplesView) -> Iterator[Problem]:
    for partition, (least, most) in SIZES.items():
        n = len(dataset.partition(partition))
        if n and not least <= n <= most:
            yield Problem(
                "warning",
                "size",
                f"{partition} has {n} examples; {least} to {most} are meant",
                "too few prove little, too many nobody reviews" if partition == "golden" else "draw another sample",
            )


def _approval(dataset: ExamplesView) -> Iterator[Problem]:
    reason = why_unapproved(dataset)
    if reason:
        yield Problem("error", "unapproved", reason, how_to_approve(str(dataset.path or "FILE")))


def _regression(dataset: ExamplesView) -> Iterator[Problem]:
    for example in dataset.partition("regression"):
        if example.pending:
            yield Problem(
                "error",
                "pending",
                f"{example.id} was exported but not reviewed: it may not gate yet",
                f"evalspan dataset review {dataset.path or 'FILE'} --id {example.id}",
                example.id,
            )
        elif not example.root_cause:
            yield Problem("warning", "root_cause", f"{example.id} has no root_cause", "say why it happened", example.id)


def _adversarial(dataset: ExamplesView) -> Iterator[Problem]:
    examples = dataset.partition("adversarial")
    covered = {kind for example in examples for kind in kinds_of(example)}
    missing = [kind for kind in ADVERSARIAL_KINDS if kind not in covered]
    if examples and missing:
        yield Problem(
            "warning",
            "adversarial_kinds",
            f"adversarial has no {', '.join(missing)} case",
            'add one and say so: "metadata": {"kind": "jailbreak"}',
        )
    writes_code = re.search(r"\b(code|coding|program)", dataset.task_type, re.IGNORECASE)
    threats = [kind for kind in (CODE_THREATS if writes_code else THREATS) if kind not in covered]
    if examples and threats:
        yield Problem(
            "warning",
            "threat_model",
            f"adversarial has no {', '.join(threats)} case",
            "who would do this to your application? Leave out, knowingly, what nobody could",
        )


def _duplicates(dataset: ExamplesView) -> Iterator[Problem]:
    seen: dict[str, list[Example]] = defaultdict(list)
    for example in dataset:
        text = normalize(example.input_text)
        if text:
            seen[text].append(example)
    for same in seen.values():
        partitions = {example.partition for example in same}
        if len(same) > 1 and partitions != {"distribution"}:
            ids = ", ".join(example.id for example in same[:5])
            yield Problem("warning", "duplicate_input", f"the same input in {ids}", "keep one", same[0].id)


def _distribution(dataset: ExamplesView) -> Iterator[Problem]:
    unweighted = [one for one in dataset.partition("distribution") if "sample_weight" not in one.metadata]
    if unweighted:
        yield Problem(
            "warning",
            "sample_weight",
            f"{len(unweighted)} distribution examples carry no sample_weight: each counts as 1",
            "draw them with `evalspan dataset sample`",
            unweighted[0].id,
        )


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else [value]
