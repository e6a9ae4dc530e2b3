"""One example of a dataset: what goes in, what should come out, where it came from; hashed so that edits show."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from ...errors import DatasetError, or_did_you_mean

PARTITIONS = ("golden", "regression", "adversarial", "distribution")

# Who reviewed and in what state a case is says nothing about what the case asks: not part of the content hash.
APPROVALS = "approvals"
BOOKKEEPING = ("reviewers", "review", "reviewed_at", APPROVALS)

# Columns of the `examples` table that a file keeps under `metadata`; accepted at the top of an example too.
PROVENANCE = ("root_cause", "fix", "reviewers", "reason", "source_trace_id", "source_span_id")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Example(msgspec.Struct, kw_only=False):
    """A case: `input` (an object) is what the target is called with, `expected_output` its reference, None for none.

    `expected_tools` are the tool calls that an agent should make, objects with `name` and, where they matter,
    `arguments`; None says nothing, [] that none should be made. An input may hold several turns of a user as `turns`, or
    a simulated `user` (docs/agents.md). `metadata` may hold `context` (the passages the answer must rest on), `root_cause`, `fix`, `reviewers`,
    `reason`, `source_trace_id`, `source_span_id`. Raises DatasetError when a field breaks its rule.
    """

    id: str
    partition: str
    input: dict[str, Any]
    expected_output: str | None = None
    metadata: dict[str, Any] = {}
    tags: list[str] = []
    created_at: str = msgspec.field(default_factory=_now)
    expected_tools: list[dict[str, Any]] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.created_at, datetime):
            self.created_at = self.created_at.isoformat()
        self.check()

    def check(self) -> None:
        """Raises DatasetError naming the field that breaks its rule."""
        if not isinstance(self.id, str) or not self.id.strip():
            raise DatasetError("an example needs an id, a non-empty text", hint='add "id": "a-unique-name"')
        if self.partition not in PARTITIONS:
            raise DatasetError(
                f"example {self.id!r}: there is no partition {self.partition!r}",
                hint=f"partitions: {', '.join(PARTITIONS)}{or_did_you_mean(str(self.partition), PARTITIONS)}",
            )
        if not isinstance(self.input, dict):
            raise DatasetError(
                f"example {self.id!r}: input must be an object, not {type(self.input).__name__}",
                hint='write "input": {"question": "..."}',
            )
        if self.expected_output is not None and not isinstance(self.expected_output, str):
            raise DatasetError(
                f"example {self.id!r}: expected_output must be text or null, not {type(self.expected_output).__name__}",
                hint="write structured output as its JSON text",
            )
        if not isinstance(self.metadata, dict):
            raise DatasetError(f"example {self.id!r}: metadata must be an object", hint='write "metadata": {}')
        if not isinstance(self.tags, list) or not all(isinstance(tag, str) for tag in self.tags):
            raise DatasetError(f"example {self.id!r}: tags must be a list of texts", hint='write "tags": []')
        self._check_expected_tools()
        try:
            datetime.fromisoformat(self.created_at)
        except (TypeError, ValueError) as error:
            raise DatasetError(
                f"example {self.id!r}: created_at {self.created_at!r} is not an ISO 8601 time",
                hint="write e.g. 2026-03-01T09:30:00+00:00, or leave it out",
            ) from error

    def _check_expected_tools(self) -> None:
        wrong = self.expected_tools is not None and not isinstance(self.expected_tools, list)
        for one in () if wrong else self.expected_tools or ():
            named = isinstance(one, Mapping) and isinstance(one.get("name"), str) and one["name"]
            wrong = wrong or not named or not isinstance(one.get("arguments"), Mapping | None)
        if wrong:
            raise DatasetError(
                f"example {self.id!r}: expected_tools must be a list of objects with a name",
                hint='write [{"name": "find_order", "arguments": {"order": "A1"}}]; arguments may be left out',
            )

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) of all that a reviewer vouches for: everything but created_at and the bookkeeping."""
        content = {
            "id": self.id,
            "partition": self.partition,
            "input": self.input,
            "expected_output": self.expected_output,
            "metadata": {key: value for key, value in self.metadata.items() if key not in BOOKKEEPING},
            "tags": sorted(self.tags),
            # Only where it says something: what was approved before there was the field stays approved.
            **({} if self.expected_tools is None else {"expected_tools": self.expected_tools}),
        }
        return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()

    @property
    def input_text(self) -> str:
        """The texts of the input in one string, for search, near-duplicates and previews."""
        return "\n".join(_texts(self.input))

    @property
    def reviewers(self) -> list[str]:
        """The different people recorded as reviewers of this example."""
        names = self.metadata.get("reviewers") or []
        names = [names] if isinstance(names, str) else names
        return list(dict.fromkeys(person(name) for name in names if str(name).strip()))

    @property
    def root_cause(self) -> str:
        """Why the failure behind a regression case happened, '' when nobody wrote it down."""
        return str(self.metadata.get("root_cause") or "")

    @property
    def pending(self) -> bool:
        """True for an exported failure that nobody has reviewed yet: passing it proves nothing."""
        return self.metadata.get("review") == "pending"

    def to_json(self) -> dict[str, Any]:
        """The example as the object that stands on one line of a dataset file."""
        names = [name for name in self.__struct_fields__ if name != "expected_tools" or self.expected_tools is not None]
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_json(cls, item: object) -> Example:
        """An example from a decoded line. Raises DatasetError for a missing, unknown or wrong field."""
        if not isinstance(item, Mapping):
            raise DatasetError(f"an example is a JSON object, not {type(item).__name__}", hint="one object a line")
        fields = {key: value for key, value in item.items() if key not in PROVENANCE}
        name = item.get("id", "without id")
        unknown = [key for key in fields if key not in cls.__struct_fields__]
        if unknown:
            raise DatasetError(
                f"example {name!r}: unknown field {unknown[0]!r}",
                hint=f"anything of your own goes under metadata{or_did_you_mean(unknown[0], cls.__struct_fields__)}",
            )
        missing = [key for key in ("id", "partition", "input") if key not in fields]
        if missing:
            raise DatasetError(f"example {name!r}: {missing[0]} is missing", hint="id, partition and input are needed")
        metadata = fields.get("metadata") or {}
        moved = {key: item[key] for key in PROVENANCE if key in item}
        if moved and isinstance(metadata, Mapping):
            fields["metadata"] = {**metadata, **moved}
        # null where a list, an object or a time may stand means "nothing given"
        return cls(**{key: value for key, value in fields.items() if value is not None or key == "expected_output"})


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _texts(item)]
    return [] if value is None else [str(value)]


def person(name: object) -> str:
    """The name under which one person counts once."""
    # "Ann" and "ann " are one person: two spellings must not count as two reviewers.
    return " ".join(str(name).split()).casefold()
