"""Examples of a dataset written on its page: edited, added, removed, or brought as a file."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web

from ..errors import DatasetError, EvalspanError, UsageError
from ..evaluators.datasets import Dataset, Example
from ..evaluators.datasets.records import parse_columns
from ..evaluators.datasets.stored import to_items
from ..queries.examples import add_examples, remove_examples, stored_examples
from . import guard
from .labels import NAME, redirect, remember_author
from .page_context import PageContext, handle_errors, page_context

FILES = (".jsonl", ".json", ".csv", ".tsv", ".xlsx", ".parquet")
MAX_FILE_EXAMPLES = 20_000


async def _write(request: web.Request) -> web.StreamResponse:
    """Saves, adds or removes one example; whoever edited it meanwhile is not overwritten."""
    context, form = page_context(request), await request.post()
    text = {key: str(value) for key, value in form.items()}
    name, author = request.match_info["dataset"], text.get("author", "").strip()
    if not author:
        raise UsageError("An edit needs its author.", hint="Write your name beside it; the browser remembers it.")
    project = context.filters.project or text.get("project") or "default"
    example_id = text.get("example", "").strip()
    stored = await asyncio.to_thread(stored_examples, context.host.store, name, project)
    before = next((item for item in stored if item["id"] == example_id), None)
    _check_unchanged(text, before, example_id)
    if text.get("remove"):
        assert before is not None
        await asyncio.to_thread(remove_examples, context.host.store, name, [before], project)
    else:
        item = _edited(text, before, example_id, author)
        await asyncio.to_thread(add_examples, context.host.store, name, [item], project)
    return remember_author(redirect(context.filters.url(f"/datasets/{quote(name)}")), author)


def _check_unchanged(text: Mapping[str, str], before: dict[str, Any] | None, example_id: str) -> None:
    """Raises UsageError when the example is not what the form was opened on."""
    if text.get("add"):
        if before is not None:
            raise UsageError(f"There is an example {example_id!r} already.", hint="Edit that one, or write another id.")
        return
    if before is None:
        raise UsageError(f"There is no example {example_id!r} any more.", hint="Open the dataset again.")
    if text.get("hash") != hash_of(before):
        raise UsageError(
            f"The example {example_id!r} was edited while you looked at it.", hint="Open it again: your text is gone."
        )


def hash_of(item: Mapping[str, Any]) -> str:
    """What an example is told by; raises DatasetError for an item that is none."""
    return Example.from_json(dict(item)).content_hash


def _edited(text: Mapping[str, str], before: dict[str, Any] | None, example_id: str, author: str) -> dict[str, Any]:
    """The example as the form has it. Raises DatasetError, a UsageError, for a field that breaks its rule."""
    given = text.get("input", "").strip()
    try:
        asked = json.loads(given) if given.startswith("{") else {"question": given}
    except ValueError as error:
        raise UsageError(f"The input is no JSON object: {error}.", hint="Write plain text for a question.") from error
    metadata = {**(before or {}).get("metadata", {}), "reviewers": [author]}
    metadata |= {key: text[key].strip() for key in ("root_cause",) if text.get(key, "").strip()}
    expected = None if text.get("reference_free") else text.get("expected_output", "")
    example = Example.from_json(
        {
            **(before or {}),
            "id": example_id,
            "partition": text.get("partition", ""),
            "input": asked,
            "expected_output": expected,
            "metadata": metadata,
            "tags": [tag.strip() for tag in text.get("tags", "").split(",") if tag.strip()],
        }
    )
    return {**example.to_json(), "content_hash": example.content_hash}


async def _upload(request: web.Request) -> web.StreamResponse:
    """A file's examples beside those of the dataset; an id that is there is replaced."""
    context, form = page_context(request), await request.post()
    name, sent = str(form.get("dataset", "")).strip(), form.get("file")
    if not isinstance(sent, web.FileField):
        raise UsageError("No file was chosen.", hint=f"One of {', '.join(FILES)}.")
    name = name or Path(sent.filename).stem
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot name a dataset.", hint="Letters, digits, dot, dash, underscore.")
    content = sent.file.read()
    columns = parse_columns(tuple(one.strip() for one in str(form.get("columns", "")).split(",") if one.strip()))
    found = await asyncio.to_thread(_read, sent.filename, content, columns, str(form.get("partition", "")))
    await _store(context, name, found)
    return redirect(context.filters.url(f"/datasets/{quote(name)}"))


async def _store(context: PageContext, name: str, found: Dataset) -> None:
    project = context.filters.project or "default"
    await asyncio.to_thread(add_examples, context.host.store, name, to_items(found), project)


def _read(filename: str, content: bytes, columns: Mapping[str, str], partition: str) -> Dataset:
    """The file as a dataset. Raises DatasetError or UsageError that names the file, the line and the fix."""
    suffix = Path(filename).suffix.lower()
    if suffix not in FILES:
        raise UsageError(
            f"A file {suffix or 'without an ending'} holds no examples.", hint=f"One of {', '.join(FILES)}."
        )
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / f"upload{suffix}"
        place.write_bytes(content)
        try:
            found = Dataset.load(place, columns=columns, partition=partition or None)
        except EvalspanError as error:
            # The reader's file has the reader's name, not that of our folder.
            raise DatasetError(str(error).replace(str(place), Path(filename).name), hint=error.hint) from error
    if not len(found) or len(found) > MAX_FILE_EXAMPLES:
        raise UsageError(
            f"The file holds {len(found):,} examples.",
            hint=f"1 to {MAX_FILE_EXAMPLES:,}; `evalspan dataset push` takes more.",
        )
    return found


def routes_of(dataset: str) -> list[web.RouteDef]:
    """The routes under a dataset's address."""
    return [
        web.post("/datasets/upload", guard.protect(handle_errors(_upload))),
        web.post(f"{dataset}/examples", guard.protect(handle_errors(_write))),
    ]
