"""A result on the terminal: a table for people, or json, jsonl, csv, markdown for what comes next in the pipe."""

from __future__ import annotations

import csv
import io
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import click
import msgspec

from ...errors import UsageError
from ..plain_json import plain_json
from ..store.client import Result
from ..untrusted_text import csv_cell, markdown_text, one_line

if TYPE_CHECKING:
    from ..store.protocol import StoreClient

FORMATS = ("table", "json", "jsonl", "csv", "markdown")
format_option = click.option(
    "--format", "format_", type=click.Choice(FORMATS), default="table", show_default=True, help="How rows are printed."
)


class ListsByDefault(click.Group):
    """A command whose first question is what there is: without a command of its own it is `list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts `list` before options that are not the group's own."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def say_nothing(what: str, store: StoreClient, project: str = "") -> None:
    """Says on stderr that there is none of it, with the store that was read, the setting that named it, and the project."""
    click.echo(f"no {what} in {store.described}{f', project {project!r}' if project else ''}", err=True)


@contextmanager
def refusals_name(store: StoreClient, project: str = "") -> Iterator[None]:
    """What is refused inside, such as a name that the store does not have, also says which store and project were read.

    Pages and assistants are told the same without it: a store's address is the operator's matter.
    """
    try:
        yield
    except UsageError as error:
        read = f"Read: {store.described}{f', project {project!r}' if project else ''}."
        raise type(error)(f"{error} {read}", hint=error.hint) from error


def render(result: Result, format_: str = "table", *, file: TextIO | None = None) -> None:
    """Prints a result in one of FORMATS; data goes to stdout unless `file` says otherwise."""
    out = file or sys.stdout
    if not result.columns and format_ != "json":
        return  # ClickHouse names no columns when there are no rows
    if format_ == "table":
        _table(result, out)
    elif format_ == "json":
        out.write(_json(result.dicts(), indent=2) + "\n")
    elif format_ == "jsonl":
        for row in result.dicts():
            out.write(_json(row) + "\n")
    elif format_ == "csv":
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow([csv_cell(name) for name in result.columns])
        rows.writerows([_csv_cell(cell) for cell in row] for row in result.rows)
    else:
        _markdown(result, out)


def _json(value: Any, indent: int = 0) -> str:
    text = msgspec.json.encode(plain_json(value))
    return (msgspec.json.format(text, indent=indent) if indent else text).decode()


def _csv_cell(value: Any) -> Any:
    simple = plain_json(value)
    return csv_cell(_json(simple) if isinstance(simple, (dict, list)) else simple)


def _text(value: Any) -> str:
    simple = plain_json(value)
    if simple is None:
        return "NULL"
    if isinstance(simple, bool):
        return str(simple).lower()
    if isinstance(simple, float):
        return f"{simple:.6g}"
    return simple if isinstance(simple, str) else _json(simple)


def _markdown(result: Result, out: TextIO) -> None:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join("<br>".join(map(markdown_text, cell.split("\n"))) for cell in cells) + " |\n"

    out.write(line(result.columns))
    out.write("| " + " | ".join("---:" if _numeric(kind) else "---" for kind in result.types) + " |\n")
    out.writelines(line([_text(cell) for cell in row]) for row in result.rows)


def _table(result: Result, out: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = out.isatty()
    # Into a pipe nothing is cut: as wide as it needs.
    width = shutil.get_terminal_size().columns if terminal else 10_000
    table = Table(box=None, pad_edge=False, header_style="bold" if terminal else "")
    for name, kind in zip(result.columns, result.types, strict=True):
        table.add_column(Text(one_line(name)), justify="right" if _numeric(kind) else "left", overflow="ellipsis")
    for row in result.rows:
        table.add_row(*(Text(one_line(_text(cell), 200 if terminal else 2_000)) for cell in row))
    buffer = io.StringIO()
    console = Console(file=buffer, width=width, force_terminal=terminal, highlight=False)
    console.print(table)
    out.write("\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n")


def _numeric(kind: str) -> bool:
    bare = kind.removeprefix("Nullable(").removeprefix("LowCardinality(")
    return bare.startswith(("Int", "UInt", "Float", "Decimal"))
