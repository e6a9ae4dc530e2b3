"""A dataset: examples in four partitions with their rules, in a JSONL file with its manifest, hashed and versioned."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ...errors import DatasetError
from ...queries.atomic_write import jsonl, write_atomically
from . import approval, rules
from .example import PARTITIONS, Example
from .files import read_examples
from .manifest import Approval, Manifest, manifest_path, read_manifest
from .records import is_table


class Dataset:
    """Examples by unique id, in the order in which they were added.

    `task_type` says what the examples ask for ("question answering"); it is kept in the manifest.
    """

    def __init__(
        self, name: str = "dataset", task_type: str = "", examples: Iterable[Example] = (), *, path: Path | None = None
    ) -> None:
        self.manifest = Manifest(name=name, task_type=task_type)
        self.path = path
        self._examples: dict[str, Example] = {}
        for example in examples:
            self.add(example)

    @property
    def name(self) -> str:
        """The dataset's name; the file's stem unless the manifest says otherwise."""
        return self.manifest.name

    @property
    def task_type(self) -> str:
        """What the examples ask for."""
        return self.manifest.task_type

    @property
    def version(self) -> int:
        """The number of the last saved version, 0 before the first."""
        return self.manifest.version

    @property
    def examples(self) -> list[Example]:
        """All examples, in file order."""
        return list(self._examples.values())

    def __len__(self) -> int:
        return len(self._examples)

    def __iter__(self) -> Iterator[Example]:
        return iter(self.examples)

    def __contains__(self, example_id: object) -> bool:
        return example_id in self._examples

    def __getitem__(self, example_id: str) -> Example:
        try:
            return self._examples[example_id]
        except KeyError:
            raise DatasetError(f"{self.name} has no example {example_id!r}", hint="`evalspan dataset show`") from None

    def add(self, example: Example, *, replace: bool = False) -> None:
        """Adds an example. Raises DatasetError naming the id when it is taken and `replace` is not set."""
        example.check()
        if example.id in self._examples and not replace:
            raise DatasetError(
                f"{self.name} already has an example with the id {example.id!r}", hint="ids must be unique: rename one"
            )
        self._examples[example.id] = example

    def remove(self, example_id: str) -> Example:
        """Takes an example out and returns it. Raises DatasetError when there is none with this id."""
        found = self[example_id]
        del self._examples[example_id]
        return found

    def replace(self, example_id: str, example: Example) -> None:
        """Puts an example in the place of another, whose id it need not have.

        Raises DatasetError when there is none with this id, or when the new id is another example's.
        """
        example.check()
        self[example_id]
        if example.id != example_id and example.id in self._examples:
            raise DatasetError(
                f"{self.name} already has an example with the id {example.id!r}", hint="ids must be unique: rename one"
            )
        self._examples = {
            (example.id if key == example_id else key): (example if key == example_id else one)
            for key, one in self._examples.items()
        }

    def partition(self, name: str) -> list[Example]:
        """The examples of one partition. Raises DatasetError for a name that is not one of the four."""
        if name not in PARTITIONS:
            raise DatasetError(f"there is no partition {name!r}", hint=f"partitions: {', '.join(PARTITIONS)}")
        return [example for example in self._examples.values() if example.partition == name]

    get_partition = partition

    def stats(self) -> dict[str, int]:
        """How many examples each of the four partitions holds."""
        return {name: len(self.partition(name)) for name in PARTITIONS}

    partition_stats = stats

    @property
    def content_hash(self) -> str:
        """SHA-256 over all examples, whatever their order."""
        return _hash(self._examples.values())

    def partition_hash(self, name: str) -> str:
        """SHA-256 over one partition: what an approval is bound to."""
        return _hash(self.partition(name))

    def validate(self) -> list[rules.Problem]:
        """What breaks a rule or a recommendation, errors first; empty when all is well."""
        return rules.check(self)

    def approve(
        self,
        *names: str | Iterable[str],
        reviewer: str = "",
        reviewers: Iterable[str] = (),
        partition: str = "golden",
        note: str = "",
    ) -> list[Approval]:
        """Records that the named people (texts or lists of them) vouch for a partition; any later edit voids it.

        The golden set needs two different people. Save the dataset to keep the approvals. Raises DatasetError for
        no name, an unknown partition or one without examples.
        """
        if names and isinstance(names[0], str) and names[0] in PARTITIONS:  # approve("golden", "ann"): nobody's name
            partition, names = names[0], names[1:]
        given = [*names, reviewer, reviewers]
        people = [name for one in given for name in ([one] if isinstance(one, str) else one)]
        return approval.approve(self, people, partition, note)

    def why_unapproved(self, partition: str = "golden") -> str | None:
        """The reason why the gate refuses the partition, None when it is approved or empty."""
        return approval.why_unapproved(self, partition)

    @classmethod
    def load(
        cls, path: str | Path, *, columns: Mapping[str, str] | None = None, partition: str | None = None
    ) -> Dataset:
        """Reads a .jsonl file (or a .json one with name, task_type and examples) and its manifest.

        Tables (.csv, .tsv, .xlsx, .parquet) are read too: `columns` maps fields to column names, for example
        {"input.question": "Question"}; `partition` is that of all examples. Raises DatasetError that names the file,
        the line and the fix.
        """
        place = Path(path)
        examples, stated = read_examples(place, columns, partition=partition)
        dataset = cls(path=place)
        dataset.manifest = read_manifest(place)
        for field, value in stated.items():
            setattr(dataset.manifest, field, value)
        for example in examples:
            dataset.add(example)
        return dataset

    def save(self, path: str | Path | None = None) -> Path:
        """Writes the file and its manifest, each atomically; changed content becomes a new version."""
        place = Path(path) if path is not None else self.path
        if place is None:
            raise DatasetError("the dataset has no file yet", hint="save(path)")
        if is_table(place):
            raise DatasetError(f"a dataset is written as JSONL, not as {place.suffix}", hint="name a .jsonl file")
        for example in self._examples.values():
            example.check()
        self.manifest.record(self.content_hash, self.stats())
        items = [example.to_json() for example in self._examples.values()]
        write_atomically(place, jsonl(items) if place.suffix != ".json" else self._document(items))
        write_atomically(manifest_path(place), msgspec.json.format(msgspec.json.encode(self.manifest)) + b"\n")
        self.path = place
        return place

    def _document(self, items: list[dict[str, Any]]) -> bytes:
        whole = {"name": self.name, "task_type": self.task_type, "examples": items}
        return msgspec.json.format(msgspec.json.encode(whole)) + b"\n"


def _hash(examples: Iterable[Example]) -> str:
    joined = "\n".join(sorted(f"{example.id}\t{example.content_hash}" for example in examples))
    return hashlib.sha256(joined.encode()).hexdigest()
