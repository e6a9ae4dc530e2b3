"""`evalspan sql`: any reading SQL on the store, through the running service when one owns it."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import click
from click.core import ParameterSource

from ...errors import QueryError, UsageError
from ..store.client import connect
from ..text_file import read_text, utf8
from ..untrusted.reader import trailing_format
from ..untrusted.sql_gate import Limits
from ..untrusted.suggestions import with_suggestion
from .options import store_option
from .output import format_option, render


@click.command()
@click.argument("query", required=False)
@click.option(
    "-f", "--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Read the SQL from a file."
)
@click.option("-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="A value for {name:Type}.")
@click.option("--no-input", is_flag=True, help="Never open the prompt: without a statement it is an error.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0.1), default=30, show_default=True, help="Seconds.")
@format_option
@store_option
def sql(
    query: str | None,
    file: Path | None,
    parameters: tuple[str, ...],
    timeout_s: float,
    no_input: bool,
    format_: str,
    dsn: str | None,
) -> None:
    """Run SQL on the tables spans, evaluations, examples, experiments, experiment_results, alerts.

    \b
    evalspan sql "SELECT request_model, count(), avg(output_tokens) FROM spans GROUP BY 1"
    evalspan sql "SELECT * FROM spans WHERE trace_id = {id:String}" -p id=7f3a... --format json
    evalspan sql "SELECT * FROM evaluations FORMAT Parquet" > evaluations.parquet

    Without a statement: a prompt with history and completion on a terminal, else the statement is read from the pipe.
    """
    text = _statement(query, file, no_input=no_input)
    given = parse_parameters(parameters)
    with connect(dsn) as opened:
        if not text:
            from .prompt import Prompt

            Prompt(opened, format_, timeout_s).run()
            return
        started = time.perf_counter()
        try:
            if trailing_format(text):
                _copy(opened.stream_untrusted(text, given or None, limits=Limits(time_s=timeout_s)))
                return
            result = opened.query_untrusted(text, given or None, limits=Limits(time_s=timeout_s))
        except QueryError as error:
            raise with_suggestion(error, text, opened) from error
        elapsed = time.perf_counter() - started
    render(result, format_)
    if sys.stderr.isatty():
        click.echo(f"{len(result.rows)} rows in {elapsed:.2f} s", err=True)


def _copy(blocks: Generator[bytes]) -> None:
    """Writes a result in ClickHouse's own format to stdout, as it comes."""
    if click.get_current_context().get_parameter_source("format_") is not ParameterSource.DEFAULT:
        raise UsageError("There are two formats: --format and the statement's own.", hint="Leave one of them out.")
    with closing(blocks):
        for block in blocks:
            sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()


def _statement(query: str | None, file: Path | None, *, no_input: bool) -> str:
    """The SQL from the argument, the file or the pipe; "" asks for the prompt."""
    if query and file:
        raise UsageError("There are two statements: the argument and --file.", hint="Give one of them.")
    if file:
        return read_text(file)
    if query and query != "-":
        return query
    if query == "-" or no_input or not sys.stdin.isatty():
        text = "" if no_input and sys.stdin.isatty() else _piped()
        if not text.strip():
            raise UsageError("There is no SQL to run.", hint='evalspan sql "SELECT count() FROM spans"')
        return text
    return ""


def _piped() -> str:
    buffer = getattr(sys.stdin, "buffer", None)
    return utf8(buffer.read(), "the standard input").decode() if buffer is not None else sys.stdin.read()


def parse_parameters(given: tuple[str, ...]) -> dict[str, str]:
    """NAME=VALUE arguments as a mapping. Raises UsageError for one without a name or a value."""
    found = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"{item!r} is not NAME=VALUE.", hint="For example: -p id=7f3a")
        found[name] = value
    return found
