"""`evalspan dataset`: create, fill, look at, review and approve datasets, in files and in the store."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

import click

from ...instrument.errors import UsageError

PARTITION_NAMES = ("golden", "regression", "adversarial", "distribution")
FORMATS = ("table", "json", "jsonl", "csv", "markdown")
format_option = click.option("--format", "format_", type=click.Choice(FORMATS), default="table", show_default=True)
file_argument = click.argument("file", type=click.Path(dir_okay=False))


@click.group()
def dataset() -> None:
    """Datasets are JSONL files with a manifest beside them, made to be reviewed in a pull request."""


@dataset.command()
@file_argument
@click.option("--reviewer", "reviewers", multiple=True, help="Who vouches for it; default: you. Repeat for more.")
@click.option("--partition", default="golden", show_default=True, type=click.Choice(PARTITION_NAMES))
@click.option("--note", default="", help="What was looked at.")
def approve(file: str, reviewers: tuple[str, ...], partition: str, note: str) -> None:
    """Vouch for a partition as it stands: the golden set gates once two different people did; an edit voids it."""
    from ..datasets import Dataset

    found = Dataset.load(file)
    for one in found.approve(*(reviewers or (_me(),)), partition=partition, note=note):
        click.echo(f"{one.reviewer} approved {partition} of {found.name} at {one.content_hash[:12]}", err=True)
    found.save()
    why = found.why_unapproved(partition) if partition == "golden" else None
    click.echo(f"not gating yet: {why}" if why else f"{partition} is approved", err=True)


@dataset.command()
@file_argument
@format_option
@click.pass_context
def validate(ctx: click.Context, file: str, format_: str) -> None:
    """Check the rules of the four partitions. Exit 3 when something keeps the dataset from gating."""
    from ..datasets import Dataset

    problems = Dataset.load(file).validate()
    rows = [(one.severity, one.code, one.example_id, one.message, one.hint) for one in problems]
    show(("severity", "code", "example_id", "message", "hint"), rows, format_)
    ctx.exit(3 if any(one.severity == "error" for one in problems) else 0)


def show(columns: tuple[str, ...], rows: list[tuple[Any, ...]], format_: str) -> None:
    """Prints rows as every other command does."""
    from ...queries.cli.output import render
    from ...queries.database import Result

    kinds = ["Float64" if rows and isinstance(cell, int | float) else "String" for cell in (rows or [columns])[0]]
    render(Result(list(columns), kinds, rows), format_)


def _me() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:
        raise UsageError("who are you?", hint="--reviewer NAME") from error


def existing(file: str) -> Path:
    """The path, which must exist. Raises UsageError."""
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"there is no file {file}", hint="check the path")
    return path
