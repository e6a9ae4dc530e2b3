"""The step between an exported failure and a case that gates: a person says why it failed and what would be right."""

from __future__ import annotations

from ...errors import DatasetError
from .example import Example, person
from .manifest import now


def pending(examples: list[Example]) -> list[Example]:
    """The cases that nobody has reviewed."""
    return [example for example in examples if example.pending]


def accept(
    example: Example,
    *,
    reviewer: str,
    root_cause: str,
    expected_output: str | None = None,
    reference_free: bool = False,
    fix: str = "",
) -> None:
    """Makes a case gate: its root cause is documented, and its expected output said, or said to be none.

    A proposed expected output stays unless another is given. Raises DatasetError when one of the three is missing.
    """
    if not reviewer.strip():
        raise DatasetError(f"{example.id}: a review needs its reviewer", hint="--reviewer NAME")
    if not root_cause.strip():
        raise DatasetError(f"{example.id}: a regression case needs its root cause", hint='--root-cause "why it failed"')
    expected = expected_output if expected_output is not None else example.expected_output
    if not expected and not reference_free:
        raise DatasetError(
            f"{example.id}: what would a right answer be?",
            hint='--expected "...", or --no-reference when the evaluators need none',
        )
    example.expected_output = expected or None
    names = list(dict.fromkeys([*example.reviewers, person(reviewer)]))
    example.metadata |= {"root_cause": root_cause, "review": "accepted", "reviewers": names, "reviewed_at": now()}
    if fix:
        example.metadata["fix"] = fix
