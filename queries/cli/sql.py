"""`evalspan sql`: any reading SQL on the store, through the running service when one owns it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from ...instrument.errors import UsageError
from ..database import connect
from ..readonly import Limits
from .output import format_option, render

store_option = click.option(
    "--store", envvar="EVALSPAN_STORE", metavar="DSN", help="chdb:///PATH or http(s)://user:password@host:port/db."
)


@click.command()
@click.argument("query", required=False)
@click.option(
    "-f", "--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Read the SQL from a file."
)
@click.option("-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="A value for {name:Type}.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0.1), default=30, show_default=True, help="Seconds.")
@format_option
@store_option
def sql(
    query: str | None,
    file: Path | None,
    parameters: tuple[str, ...],
    timeout_s: float,
    format_: str,
    store: str | None,
) -> None:
    r"""Run SQL on the tables spans, evaluations, examples, experiments, experiment_results, alerts.

    \b
    evalspan sql "SELECT request_model, count(), avg(output_tokens) FROM spans GROUP BY 1"
    evalspan sql "SELECT * FROM spans WHERE trace_id = {id:String}" -p id=7f3a... --format json
    """
    text = file.read_text() if file else query
    if not text:
        raise UsageError("There is no SQL to run.", hint='evalspan sql "SELECT count() FROM spans"')
    with connect(store) as opened:
        started = time.perf_counter()
        result = opened.query_untrusted(text, parse_parameters(parameters) or None, limits=Limits(time_s=timeout_s))
        elapsed = time.perf_counter() - started
    render(result, format_)
    if sys.stderr.isatty():
        click.echo(f"{len(result.rows)} rows in {elapsed:.2f} s", err=True)


def parse_parameters(given: tuple[str, ...]) -> dict[str, str]:
    """NAME=VALUE arguments as a mapping. Raises UsageError for one without a name or a value."""
    found = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"{item!r} is not NAME=VALUE.", hint="For example: -p id=7f3a")
        found[name] = value
    return found
