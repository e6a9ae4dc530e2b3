"""`evalspan queries`: the named queries of queries/sql, listed, shown and run."""

from __future__ import annotations

import click

from .. import catalog
from ..database import Result, connect
from .output import ListsByDefault, format_option, render
from .sql import parse_parameters, store_option


@click.group(cls=ListsByDefault)
def queries() -> None:
    """The named queries: what is known to be asked, with its method and source."""


@queries.command("list")
@format_option
def list_(format_: str) -> None:
    """List the named queries."""
    rows = [(query.name, query.title) for query in map(catalog.get, catalog.names())]
    render(Result(columns=["name", "title"], types=["String", "String"], rows=rows), format_)


@queries.command()
@click.argument("name")
@click.option("--sql", "only_sql", is_flag=True, help="Only the SQL.")
def show(name: str, only_sql: bool) -> None:
    """Show what a query answers, its parameters, its columns and its SQL."""
    query = catalog.get(name)
    if only_sql:
        click.echo(query.sql)
        return
    click.echo(f"{query.name}: {query.title}\n\n{query.answers}\n")
    for parameter in query.parameters:
        default = "required" if parameter.default is None else f"default {parameter.default or repr('')}"
        click.echo(f"  {parameter.name:<16} {parameter.type:<10} {parameter.about} ({default})")
    click.echo("\ncolumns")
    for column in query.columns:
        click.echo(f"  {column.name:<20} {column.about}")
    for label, text in (("method", query.method), ("source", query.source)):
        if text:
            click.echo(f"\n{label}: {text}")
    click.echo(f"\n{query.sql}")


@queries.command()
@click.argument("name")
@click.argument("parameters", nargs=-1, metavar="[NAME=VALUE]...")
@format_option
@store_option
def run(name: str, parameters: tuple[str, ...], format_: str, store: str | None) -> None:
    """Run a query: `evalspan queries run score_trend metric=faithfulness`."""
    query = catalog.get(name)
    given = parse_parameters(parameters)
    query.bound(given)  # refuse before the store is opened
    with connect(store) as opened:
        render(query.run(opened, timeout_s=30, **given), format_)
