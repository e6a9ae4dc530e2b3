"""What the commands of `evalspan dataset` share: options, and how rows are printed."""

from __future__ import annotations

import getpass
import json
from typing import Any

import click

from ...errors import DatasetError, UsageError

PARTITION_NAMES = ("golden", "regression", "adversarial", "distribution")
FORMATS = ("table", "json", "jsonl", "csv", "markdown")
format_option = click.option("--format", "format_", type=click.Choice(FORMATS), default="table", show_default=True)
map_option = click.option(
    "--map", "columns", multiple=True, metavar="FIELD=COLUMN", help="A field and the file's own column for it."
)
file_argument = click.argument("file", type=click.Path(dir_okay=False))


def show(columns: tuple[str, ...], rows: list[tuple[Any, ...]], format_: str) -> None:
    """Prints rows as every other command does."""
    from ...queries.cli.output import render
    from ...queries.store.client import Result

    first = rows[0] if rows else columns
    kinds = ["Float64" if isinstance(cell, int | float) else "String" for cell in first]
    render(Result(list(columns), kinds, rows), format_)


def whoever_runs_this() -> str:
    """The user's name, for approvals and reviews. Raises UsageError when the system knows none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:
        raise UsageError("cannot determine the reviewer's name", hint="--reviewer NAME") from error


def json_object(text: str, option: str) -> dict[str, Any]:
    """A JSON object that was given on the command line. Raises DatasetError naming the option."""
    try:
        decoded = json.loads(text)
    except json.JSONDecodeError as error:
        raise DatasetError(f"{option} is not JSON: {error}", hint="""quote it: '{"question": "..."}'""") from error
    if not isinstance(decoded, dict):
        raise DatasetError(f"{option} must be a JSON object", hint="""'{"question": "..."}'""")
    return decoded
