"""`evalspan dataset`: create, fill, look at, compare and check dataset files; review and approve them; sample, store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ...errors import UsageError
from .dataset_edit import edit, remove
from .dataset_options import PARTITION_NAMES, file_argument, format_option, json_object, map_option, show
from .dataset_people import approve, review
from .dataset_store import pull, push, sample


@click.group()
def dataset() -> None:
    """Datasets are JSONL files with a manifest beside them, made to be reviewed in a pull request."""


for command in (approve, edit, remove, review, sample, push, pull):
    dataset.add_command(command)


@dataset.command()
@file_argument
@click.option("--name", default="", help="Default: the file's stem.")
@click.option("--task-type", default="", help='What the examples ask for, e.g. "question answering".')
def new(file: str, name: str, task_type: str) -> None:
    """Make an empty dataset."""
    from ..datasets import Dataset

    path = Path(file)
    if path.exists():
        raise UsageError(f"{file} exists", hint="`evalspan dataset add` adds to it")
    Dataset(name or path.stem, task_type).save(path)
    click.echo(f"{file} is empty; add to it: evalspan dataset add {file} --partition golden ...", err=True)


@dataset.command()
@file_argument
@click.option("--partition", required=True, type=click.Choice(PARTITION_NAMES))
@click.option("--id", "example_id", default="", help="Default: the partition and the next free number.")
@click.option("--input", "given", required=True, metavar="TEXT|JSON", help='A JSON object, or a text as "question".')
@click.option("--expected", default=None, help="The expected output; leave out for none.")
@click.option("--metadata", default="{}", metavar="JSON")
@click.option("--tag", "tags", multiple=True)
def add(
    file: str, partition: str, example_id: str, given: str, expected: str | None, metadata: str, tags: tuple[str, ...]
) -> None:
    """Add one example."""
    from ..datasets import Dataset, Example

    path = Path(file)
    found = Dataset.load(path) if path.exists() else Dataset(path.stem)
    decoded = json_object(given, "--input") if given.lstrip().startswith("{") else {"question": given}
    example = Example(
        id=example_id or _free_id(found, partition),
        partition=partition,
        input=decoded,
        expected_output=expected,
        metadata=json_object(metadata, "--metadata"),
        tags=list(tags),
    )
    found.add(example)
    found.save(path)
    click.echo(f"added {example.id} to {file}", err=True)


@dataset.command("import")
@file_argument
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--partition", default=None, type=click.Choice(PARTITION_NAMES), help="Put all of them there.")
@click.option("--replace", is_flag=True, help="Examples with the same id take the new content.")
@map_option
def import_(
    file: str, sources: tuple[str, ...], partition: str | None, replace: bool, columns: tuple[str, ...]
) -> None:
    """Add the examples of other files (JSONL, JSON, CSV, TSV, Excel, Parquet), all or none.

    \b
    evalspan dataset import golden.jsonl faq.csv --partition golden --map input.question=Question --map expected_output=Answer
    """
    from ..datasets import Dataset
    from ..datasets.records import parse_columns

    path = Path(file)
    found = Dataset.load(path) if path.exists() else Dataset(path.stem)
    before = len(found)
    for source in sources:
        for example in Dataset.load(source, columns=parse_columns(columns), partition=partition):
            if partition:
                example.partition = partition
            found.add(example, replace=replace)
    found.save(path)
    click.echo(f"{file} holds {len(found)} examples, {len(found) - before} more than before", err=True)


@dataset.command("list")
@click.argument("folder", default=".", type=click.Path(exists=True, file_okay=False))
@format_option
def list_(folder: str, format_: str) -> None:
    """List the dataset files of a folder (those with a manifest), with their partitions."""
    from ..datasets import Dataset
    from ..datasets.manifest import manifest_path

    rows: list[tuple[Any, ...]] = []
    for path in sorted([*Path(folder).glob("*.jsonl"), *Path(folder).glob("*.json")]):
        if manifest_path(path).exists() and not path.name.endswith(".meta.json"):
            found = Dataset.load(path)
            state = "approved" if found.partition("golden") and not found.why_unapproved() else ""
            rows.append((str(path), found.version, *found.stats().values(), state))
    show(("file", "version", *PARTITION_NAMES, "golden_state"), rows, format_)


@dataset.command("show")
@file_argument
@click.option("--id", "example_id", default=None, help="One example in full, as JSON.")
@click.option("--partition", default=None, type=click.Choice(PARTITION_NAMES))
@format_option
def show_(file: str, example_id: str | None, partition: str | None, format_: str) -> None:
    """Show the examples, or one of them in full; json and jsonl have all fields."""
    from ..datasets import Dataset, Example

    found = Dataset.load(file)
    if example_id is not None:
        click.echo(json.dumps(found[example_id].to_json(), indent=2, ensure_ascii=False))
        return
    examples = found.partition(partition) if partition else found.examples
    if format_ in ("json", "jsonl"):
        items = [one.to_json() for one in examples]
        fields = tuple(field for field in Example.__struct_fields__ if any(field in item for item in items))
        show(fields, [tuple(item.get(field) for field in fields) for item in items], format_)
        return
    rows = [
        (one.id, one.partition, one.input_text, one.expected_output, one.metadata.get("review", ""), one.root_cause)
        for one in examples
    ]
    show(("id", "partition", "input", "expected_output", "review", "root_cause"), rows, format_)


@dataset.command()
@click.argument("old")
@click.argument("new")
@format_option
@click.pass_context
def diff(ctx: click.Context, old: str, new: str, format_: str) -> None:
    """What changed from OLD to NEW: files, or REVISION:FILE from git. Exit 3 when something did."""
    from ..datasets.difference import difference, load_version

    found = difference(load_version(old), load_version(new))
    rows = [("added", name, "") for name in found.added] + [("removed", name, "") for name in found.removed]
    rows += [("changed", name, ", ".join(fields)) for name, fields in found.changed.items()]
    show(("change", "id", "fields"), list(rows), format_)
    ctx.exit(0 if found.empty else 3)


@dataset.command()
@file_argument
@click.option("--prompt", "prompts", multiple=True, metavar="FILE", help="Prompts that no case may occur in.")
@click.option("--training", multiple=True, metavar="FILE", help="Training data that no case may occur in.")
@format_option
@click.pass_context
def validate(ctx: click.Context, file: str, prompts: tuple[str, ...], training: tuple[str, ...], format_: str) -> None:
    """Check the rules of the four partitions, and contamination. Exit 3 when something keeps it from gating."""
    from ..datasets import Dataset

    found = Dataset.load(file)
    rows = [(one.severity, one.code, one.example_id, one.message, one.hint) for one in found.validate()]
    if prompts or training:
        from ..datasets.contamination import find_overlaps, read_source

        overlaps = find_overlaps(found.examples, [read_source(path) for path in (*prompts, *training)])
        rows += [
            ("error", "contaminated", one.example_id, f"{one.kind} in {one.source}: {one.excerpt}", "replace the case")
            for one in overlaps
        ]
    show(("severity", "code", "example_id", "message", "hint"), list(rows), format_)
    ctx.exit(3 if any(row[0] == "error" for row in rows) else 0)


@dataset.command()
@file_argument
@click.option("--run", "runs", multiple=True, metavar="FILE", help="Records of runs of different versions.")
@format_option
def stats(file: str, runs: tuple[str, ...], format_: str) -> None:
    """Count the partitions; with --run, say which examples still tell versions apart."""
    from ..datasets import Dataset
    from ..datasets.difficulty import difficulty
    from ..experiments.record import load_experiment

    found = Dataset.load(file)
    rows = [("examples", name, count) for name, count in found.stats().items()]
    report = difficulty(found.partition("golden") or found.examples, [load_experiment(run) for run in runs])
    rows += [("difficulty", kind, count) for kind, count in report.kinds.items()]
    if runs:
        rows += [
            ("over runs", "always passed", len(report.always_passed)),
            ("over runs", "never passed", len(report.never_passed)),
            ("over runs", "told versions apart", len(report.discriminating)),
        ]
    show(("what", "name", "count"), list(rows), format_)
    for warning in report.warnings:
        click.echo(f"warning: {warning}", err=True)


def _free_id(found: Any, partition: str) -> str:
    number = len(found.partition(partition)) + 1
    while f"{partition}-{number}" in found:
        number += 1
    return f"{partition}-{number}"
