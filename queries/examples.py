"""The `examples` table: datasets in the store, as rows that files are read from and written to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from .store.protocol import StoreClient

HELD = (
    "SELECT concat(example_id, ' in dataset ', dataset) AS name, input FROM examples WHERE project = {project:String}"
)

EXPECTED_TOOLS = "expected_tools"

ROWS = """
SELECT example_id, toString(partition) AS partition, input, expected_output, metadata, tags, created_at
FROM examples
WHERE project = {project:String} AND dataset = {dataset:String}
ORDER BY created_at, example_id
"""

DATASETS = """
SELECT dataset, toString(partition) AS partition, count() AS examples, max(created_at) AS newest
FROM examples
WHERE project = {project:String}
GROUP BY dataset, partition
ORDER BY dataset, partition
"""


def held_inputs(store: StoreClient, project: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and input of every stored example."""
    for name, given in store.query(HELD, {"project": project}).rows:
        decoded = msgspec.json.decode(given)
        if isinstance(decoded, dict):
            yield name, decoded


def stored_examples(store: StoreClient, dataset: str, project: str = "default") -> list[dict[str, Any]]:
    """A stored dataset as the objects of a dataset file; empty when there is none of that name."""
    return [_item(row) for row in store.query(ROWS, {"project": project, "dataset": dataset}).dicts()]


def store_examples(store: StoreClient, dataset: str, items: list[dict[str, Any]], project: str = "default") -> int:
    """Writes the objects of a dataset file as rows; what the store held under the name and is gone is deleted.

    Each item may carry `content_hash`. Returns how many rows were deleted.
    """
    before = {row["id"]: row for row in stored_examples(store, dataset, project)}
    rows = [_row(dataset, item, project) for item in items]
    gone = [before[name] for name in before.keys() - {item["id"] for item in items}]
    rows += [{**_row(dataset, item, project), "is_deleted": 1} for item in gone]
    store.insert("examples", rows)
    return len(gone)


def add_examples(store: StoreClient, dataset: str, items: list[dict[str, Any]], project: str = "default") -> None:
    """Writes the objects of a dataset file as rows beside what the store holds; an id that is there is replaced."""
    store.insert("examples", [_row(dataset, item, project) for item in items])


def remove_examples(store: StoreClient, dataset: str, items: list[dict[str, Any]], project: str = "default") -> None:
    """Marks the rows of these objects of a dataset file as deleted; what they were stays in the store's versions."""
    store.insert("examples", [{**_row(dataset, item, project), "is_deleted": 1} for item in items])


def _item(row: dict[str, Any]) -> dict[str, Any]:
    metadata = msgspec.json.decode(row["metadata"] or "{}")
    # The table has no column for them: they travel in the metadata.
    tools = {EXPECTED_TOOLS: metadata.pop(EXPECTED_TOOLS)} if metadata.get(EXPECTED_TOOLS) is not None else {}
    return {
        "id": row["example_id"],
        "partition": row["partition"],
        "input": msgspec.json.decode(row["input"]),
        "expected_output": row["expected_output"],
        "metadata": metadata,
        "tags": list(row["tags"]),
        "created_at": row["created_at"].isoformat(timespec="milliseconds"),
        **tools,
    }


def _row(dataset: str, item: dict[str, Any], project: str) -> dict[str, Any]:
    about = dict(item.get("metadata") or {})
    if item.get(EXPECTED_TOOLS) is not None:
        about[EXPECTED_TOOLS] = item[EXPECTED_TOOLS]
    row = {
        "project": project,
        "dataset": dataset,
        "example_id": item["id"],
        "partition": item["partition"],
        "input": msgspec.json.encode(item["input"]).decode(),
        "expected_output": item.get("expected_output"),
        "metadata": msgspec.json.encode(about).decode(),
        "tags": item.get("tags") or [],
        "created_at": item["created_at"],
        **{
            key: str(about.get(key) or "")
            for key in ("root_cause", "fix", "source_trace_id", "source_span_id", "reason")
        },
        "reviewers": [str(name) for name in about.get("reviewers") or []],
    }
    return {**row, "content_hash": item["content_hash"]} if item.get("content_hash") else row
