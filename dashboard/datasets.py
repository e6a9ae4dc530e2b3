"""The datasets: what they hold, where each example came from, who vouches for it, how it read before, how to get it out."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

from aiohttp import web

from ..errors import UsageError
from ..evaluators.datasets.approval import approvers
from ..evaluators.datasets.stored import from_items, to_items
from ..queries.examples import add_examples, stored_examples
from ..queries.messages import question_of
from . import example_forms, guard
from .example_forms import hash_of
from .labels import redirect, remember_author
from .page_context import PageContext, Rows, handle_errors, page, page_context
from .text_diff import difference

PARTITIONS = ("golden", "regression", "adversarial", "distribution")
REVIEWERS_NEEDED = 2


async def _list(context: PageContext) -> dict[str, Any]:
    return {"datasets": await context.query("pages/datasets")}


async def _one(context: PageContext) -> dict[str, Any]:
    name = context.request.match_info["dataset"]
    partition = context.params.get("partition", "")
    wanted = partition if partition in PARTITIONS else ""
    all_, examples, versions = await asyncio.gather(
        context.query("pages/datasets"),
        context.query("pages/examples", dataset=name, partition=wanted, q=context.params.get("q", "")),
        context.query("pages/example_versions", dataset=name),
    )
    summary = next((row for row in all_ if row["dataset"] == name), None)
    if summary is None:
        raise web.HTTPNotFound(text=f"No dataset {name!r} in the store. `evalspan dataset push FILE` puts one there.\n")
    project = examples[0]["project"] if examples else context.filters.project or "default"
    stored = await asyncio.to_thread(stored_examples, context.host.store, name, project)
    approval = _approval(name, stored)
    editing = _editing(context, stored)
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
        "q": context.params.get("q", ""),
        "changes": _changes(versions),
        "needed": REVIEWERS_NEEDED,
        "project": project,
        "approval": approval,
        "editing": editing,
    }


def _editing(context: PageContext, stored: Rows) -> dict[str, Any] | None:
    """The form's fields: of the example that the address names, empty for a new one, None without a form."""
    named = context.params.get("edit", "")
    item = next((one for one in stored if one["id"] == named), None)
    if item is None:
        return (
            {"new": True, "input": "", "partition": "distribution", "tags": []} if context.params.get("add") else None
        )
    asked = item["input"]
    plain = (
        len(asked) == 1 and isinstance(asked.get("question"), str) and not asked["question"].lstrip().startswith("{")
    )
    return {
        **item,
        "new": False,
        "hash": hash_of(item),
        "input": asked["question"] if plain else json.dumps(asked, ensure_ascii=False, indent=1),
        "root_cause": item["metadata"].get("root_cause", ""),
    }


def _approval(name: str, stored: Rows) -> dict[str, Any]:
    """Who vouches for each partition as it stands, and why the golden one may not gate yet."""
    found = from_items(name, stored)
    partitions = [one for one in PARTITIONS if found.partition(one)]
    return {
        "partitions": [
            {
                "name": one,
                "n": len(found.partition(one)),
                "people": approvers(found, one),
                "hash": found.partition_hash(one),
            }
            for one in partitions
        ],
        "why_not": found.why_unapproved("golden"),
        "golden": bool(found.partition("golden")),
    }


async def _approve(request: web.Request) -> web.StreamResponse:
    """Somebody vouches for a partition as it stands: what `evalspan dataset approve` writes into a file's manifest."""
    context, form = page_context(request), await request.post()
    name, text = request.match_info["dataset"], {key: str(value).strip() for key, value in form.items()}
    project = context.filters.project or text.get("project") or "default"
    stored = await asyncio.to_thread(stored_examples, context.host.store, name, project)
    if not stored:
        raise UsageError(f"There is no dataset {name!r} in the store.", hint="`evalspan dataset push FILE` stores one.")
    partition = text.get("partition", "golden")
    if partition not in PARTITIONS:
        raise UsageError(f"There is no partition {partition!r}.", hint=f"Choose one of {', '.join(PARTITIONS)}.")
    found = from_items(name, stored)
    if text.get("hash") and text["hash"] != found.partition_hash(partition):
        raise UsageError(
            f"The {partition} examples were edited while you looked at them.",
            hint="Open the dataset again, context, approve.",
        )
    found.approve(reviewer=text.get("author", ""), partition=partition, note=text.get("note", ""))
    await asyncio.to_thread(add_examples, context.host.store, name, to_items(found, partition), project)
    return remember_author(redirect(context.filters.url(f"/datasets/{quote(name)}")), text.get("author", ""))


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


datasets = page("/datasets", "datasets.html", "Datasets")(_list)
_DATASET = r"/datasets/{dataset:[A-Za-z0-9_\-]+(?:\.(?!json$)[A-Za-z0-9_\-]+)*}"
dataset = page(_DATASET, "dataset.html", "Dataset", early=False)(_one)
routes = [
    *datasets.routes(),
    *dataset.routes(),
    *example_forms.routes_of(_DATASET),
    web.post(f"{_DATASET}/approve", guard.protect(handle_errors(_approve))),
]
