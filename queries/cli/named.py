"""`evalspan queries`: the named queries of queries/sql, listed, shown and run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from .. import catalog
from ..store.client import Result, connect
from ..store.config import configured_project
from .options import store_option
from .output import ListsByDefault, format_option, render
from .sql import parse_parameters

if TYPE_CHECKING:
    from ..store.protocol import StoreClient


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
def run(name: str, parameters: tuple[str, ...], format_: str, dsn: str | None) -> None:
    """Run a query: `evalspan queries run score_trend metric=faithfulness`."""
    query = catalog.get(name)
    given = parse_parameters(parameters)
    project = configured_project()
    if project and any(one.name == "project" for one in query.parameters):
        given = {"project": project, **given}
    query.bound(given)  # refuse before the store is opened
    with connect(dsn) as opened:
        result = query.run(opened, timeout_s=30, **given)
        render(result, format_)
        if not result.rows:
            click.echo(_why_nothing(opened, query, given), err=True)


def _why_nothing(store: StoreClient, query: catalog.Query, given: Mapping[str, Any]) -> str:
    """What is missing when a query has no rows, as far as a look at the store can say."""
    values = query.bound(given)
    project = values.get("project", "")
    counts = {
        table: int(
            store.query(
                f"SELECT count() FROM {table} WHERE {{project:String}} IN ('', project)",  # noqa: S608 - two known names
                {"project": project},
            ).rows[0][0]
        )
        for table in ("spans", "evaluations")
    }
    where = f" of the project {project!r}" if project else ""
    if not counts["spans"] and not counts["evaluations"]:
        return (
            f"Nothing: {store.described} has no spans and no scores{where} yet. `evalspan doctor` checks the way here."
        )
    if "FROM evaluations" in query.sql.replace("{of:Identifier}", str(values.get("of"))) and not counts["evaluations"]:
        return (
            f"Nothing: {store.described} has {counts['spans']} spans{where}, but no scores. "
            "`evalspan score --since 24h` makes some."
        )
    narrowing = [
        f"{one.name}={values[one.name]}"
        for one in query.parameters
        if one.name != "project" and str(values[one.name]) not in ("", "0")
    ]
    told = f" with {', '.join(narrowing)}" if narrowing else ""
    return (
        f"Nothing: {store.described} has {counts['spans']} spans and {counts['evaluations']} scores{where}, none of which this "
        f"asks for{told}. `evalspan queries show {query.name}` says what it needs."
    )
