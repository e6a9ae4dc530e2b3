"""Who vouches for the golden set: two different people for each example, bound to the content they saw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ...errors import DatasetError
from .example import Example, person
from .manifest import Approval, now

if TYPE_CHECKING:
    from .examples_view import ExamplesView

REVIEWERS_NEEDED = 2


def approve(dataset: ExamplesView, reviewers: Sequence[str], partition: str, note: str = "") -> list[Approval]:
    """Records that each reviewer vouches for the partition as it stands now. Raises DatasetError for no name or case.

    Approvals of other content are dropped: they vouch for something that no longer exists.
    """
    names = list(dict.fromkeys(person(name) for name in reviewers if name.strip()))
    if not names:
        raise DatasetError("an approval needs the name of its reviewer", hint='approve("ann", "bob")')
    if not dataset.partition(partition):
        raise DatasetError(f"{dataset.name} has no {partition} example to approve", hint="add examples first")
    content = dataset.partition_hash(partition)
    kept = [
        one
        for one in dataset.manifest.approvals
        if one.partition != partition or (one.content_hash == content and one.reviewer not in names)
    ]
    new = [Approval(name, partition, content, now(), note) for name in names]
    dataset.manifest.approvals = [*kept, *new]
    return new


def approvers(dataset: ExamplesView, partition: str) -> list[str]:
    """The people whose approval is of exactly the content that stands there now."""
    content = dataset.partition_hash(partition)
    return [
        one.reviewer for one in dataset.manifest.approvals if one.partition == partition and one.content_hash == content
    ]


def why_unapproved(dataset: ExamplesView, partition: str = "golden") -> str | None:
    """The reason why the gate must refuse the partition, None when it is approved."""
    examples = dataset.partition(partition)
    if not examples:
        return None
    people = approvers(dataset, partition)
    if not people:
        stale = [one for one in dataset.manifest.approvals if one.partition == partition]
        if stale:
            return f"the {partition} set was edited after {_names(one.reviewer for one in stale)} approved it"
        return f"nobody has approved the {partition} set"
    lonely = [example for example in examples if len(_vouching(example, people)) < REVIEWERS_NEEDED]
    if lonely:
        return (
            f"{len(lonely)} of {len(examples)} {partition} examples have fewer than {REVIEWERS_NEEDED} different "
            f"reviewers, for example {lonely[0].id!r} (approved by {_names(people)})"
        )
    return None


def how_to_approve(place: str, partition: str = "golden") -> str:
    """The line that two people run."""
    extra = "" if partition == "golden" else f" --partition {partition}"
    return f"two different people run: evalspan dataset approve {place} --reviewer NAME{extra}"


def _vouching(example: Example, people: Sequence[str]) -> set[str]:
    return {*people, *example.reviewers}


def _names(people: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(people))
