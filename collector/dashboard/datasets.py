"""The datasets: what they hold, where each example came from, who vouches for it, how it read before, how to get it out."""

from __future__ import annotations

import asyncio
import difflib
import json
from typing import Any

from aiohttp import web

from ...queries.conversation import question_of
from .view import Look, Rows, page

PARTITIONS = ("golden", "regression", "adversarial", "distribution")
REVIEWERS_NEEDED = 2


async def _list(look: Look) -> dict[str, Any]:
    return {"datasets": await look.ask("pages/datasets")}


async def _one(look: Look) -> dict[str, Any]:
    name = look.request.match_info["dataset"]
    partition = look.query.get("partition", "")
    wanted = partition if partition in PARTITIONS else ""
    all_, examples, versions = await asyncio.gather(
        look.ask("pages/datasets"),
        look.ask("pages/examples", dataset=name, partition=wanted, q=look.query.get("q", "")),
        look.ask("pages/example_versions", dataset=name),
    )
    summary = next((row for row in all_ if row["dataset"] == name), None)
    if summary is None:
        raise web.HTTPNotFound(text=f"No dataset {name!r} in the store. `evalspan dataset push FILE` puts one there.\n")
    for row in examples:
        row["question"] = question_of(_object(row["input"])) or row["input"]
        row["about"] = _object(row.pop("metadata"))
    return {
        "title": name,
        "dataset": name,
        "summary": summary,
        "examples": examples,
        "partition": wanted,
        "partitions": PARTITIONS,
        "q": look.query.get("q", ""),
        "changes": _changes(versions),
        "needed": REVIEWERS_NEEDED,
    }


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _changes(versions: Rows) -> list[dict[str, Any]]:
    """The newest versions of each example against the one before, as pieces to mark: same, taken out, put in."""
    earlier: dict[str, dict[str, Any]] = {}
    found = []
    for row in reversed(versions):
        before = earlier.get(row["example_id"])
        earlier[row["example_id"]] = row
        if before and (row["content_hash"] != before["content_hash"] or row["is_deleted"]):
            pieces = difference(before["expected_output"] or "", row["expected_output"] or "")
            found.append(
                {"id": row["example_id"], "changed": row["changed"], "gone": row["is_deleted"], "pieces": pieces}
            )
    return found[::-1][:20]


def difference(old: str, new: str) -> list[tuple[str, str]]:
    """Words of two texts as (kind, text) with kind "=", "-" or "+"."""
    before, after = old.split(), new.split()
    pieces: list[tuple[str, str]] = []
    for kind, i1, i2, j1, j2 in difflib.SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(("=", " ".join(before[i1:i2])))
            continue
        if i2 > i1:
            pieces.append(("-", " ".join(before[i1:i2])))
        if j2 > j1:
            pieces.append(("+", " ".join(after[j1:j2])))
    return pieces


datasets = page("/datasets", "datasets.html", "Datasets")(_list)
dataset = page("/datasets/{dataset:[A-Za-z0-9_\\-]+(?:\\.(?!json$)[A-Za-z0-9_\\-]+)*}", "dataset.html", "Dataset")(_one)
routes = [*datasets.routes(), *dataset.routes()]
