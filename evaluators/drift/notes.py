"""What a drift report says beside its findings: which references bound the comparison, which versions were left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ...queries.drift_references import references

if TYPE_CHECKING:
    from ...queries.store.protocol import StoreClient


def kept_references(store: StoreClient, scope: Mapping[str, str], metric: str) -> list[dict[str, Any]]:
    """The references that somebody accepted, or that a suspected change ends, of this project, service and environment."""
    names = ("service", "environment")
    return [
        row for row in references(store, scope["project"], metric) if all(row[name] == scope[name] for name in names)
    ]


def bounding(kept: Sequence[dict[str, Any]], begun: datetime) -> list[dict[str, Any]]:
    """Those that begin within the reference's time, which is `begun` at its start, or end before the period."""
    return [row for row in kept if row["accepted_at"] > begun or row["held_since"] > begun]


def reference_notes(bounds: Sequence[dict[str, Any]]) -> list[str]:
    """A sentence for each reference that is not the plain one."""
    notes = []
    for row in bounds:
        if row["held_since"] > row["accepted_at"]:
            notes.append(
                f"{row['metric']}: scores since {row['held_since']:%Y-%m-%d %H:%M} are under suspicion and no part of the "
                f"reference; `evalspan drift accept {row['metric']}` makes their level the reference."
            )
        else:
            notes.append(
                f"{row['metric']}: compared with its level since {row['reference_from']:%Y-%m-%d %H:%M}, "
                f"accepted {row['accepted_at']:%Y-%m-%d %H:%M}" + (f" by {row['author']}." if row["author"] else ".")
            )
    return notes


def version_notes(volume: Sequence[dict[str, Any]]) -> list[str]:
    """A sentence for each metric of which other versions of the evaluator made scores, too."""
    return [
        f"{row['metric']}: only scores of version {row['evaluator_version']!r} are compared; "
        f"{', '.join(map(repr, row['other_versions']))} also made scores in this time."
        for row in volume
        if row["other_versions"]
    ]
