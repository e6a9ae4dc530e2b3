"""A dataset in the store: the table has no manifest, so approvals travel in the metadata of the examples they vouch for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from ...errors import DatasetError
from .dataset import Dataset
from .example import APPROVALS, Example
from .manifest import Approval


def to_items(dataset: Dataset, partition: str = "") -> list[dict[str, Any]]:
    """The examples (of one partition) as the store takes them, each with its hash and the approvals of its partition."""
    items = []
    for example in dataset:
        if partition and example.partition != partition:
            continue
        item = example.to_json()
        vouched = [msgspec.to_builtins(one) for one in dataset.manifest.approvals if one.partition == example.partition]
        if vouched:
            item["metadata"] = {**example.metadata, APPROVALS: vouched}
        items.append({**item, "content_hash": example.content_hash})
    return items


def from_items(name: str, items: Iterable[Mapping[str, Any]]) -> Dataset:
    """A stored dataset with the approvals back in its manifest. Raises DatasetError for an item that is no example.

    An approval is worth what it says only while its hash is that of the partition: an edited, added or removed example
    voids it here as it does in a file.
    """
    examples, approvals = [], dict[tuple[str, str], Approval]()
    for item in items:
        metadata = dict(item.get("metadata") or {})
        for said in metadata.pop(APPROVALS, None) or []:
            try:
                one = msgspec.convert(said, Approval)
            except msgspec.ValidationError as error:
                raise DatasetError(
                    f"example {item.get('id')!r}: an approval in its metadata is broken: {error}"
                ) from error
            approvals[one.reviewer, one.partition] = one
        fields = {key: value for key, value in item.items() if key != "content_hash"}
        examples.append(Example.from_json({**fields, "metadata": metadata}))
    found = Dataset(name, examples=examples)
    found.manifest.approvals = list(approvals.values())
    return found
