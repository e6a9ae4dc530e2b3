"""`evalspan drift accept METRIC`: makes the present level of a metric the reference that it is compared with."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import Any

import click

from ...errors import UsageError
from ...queries.cli.options import project_option, store_option
from ...queries.cli.output import refusals_name
from ...queries.durations import parse_duration
from ...queries.store.client import connect
from ..drift.reference import accept_level


@click.command()
@click.argument("metric")
@click.option(
    "--since", default="7d", show_default=True, help="Length of the period in which the change is looked for."
)
@click.option(
    "--from",
    "begun",
    default=None,
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]),
    help="Since when the level holds (UTC).  [the begin of the change that was found]",
)
@click.option(
    "--release", default="", help="Since the first call of this release (`service.version`), in place of --from."
)
@click.option("--service", default="", help="The reference of this service.")
@click.option("--environment", default="", help="The reference of this environment.")
@click.option("--author", default="", help="Who accepts it.  [the user of this machine]")
@click.option("--note", default="", help="Why, for whoever reads the report later.")
@project_option
@store_option
def accept(metric: str, since: str, begun: datetime | None, dsn: str | None, author: str, **options: Any) -> None:
    """Make the level that METRIC has now the reference.

    What was before is compared with no more, and a suspicion on the metric ends. Raises nothing where nothing changed:
    then the reference begins with the period.
    """
    if begun and options["release"]:
        raise UsageError("--from and --release both say since when.", hint="Give one of them.")
    with connect(dsn) as store, refusals_name(store, options["project"]):
        accepted = accept_level(
            store,
            metric,
            since=parse_duration(since, name="--since"),
            begun=begun.replace(tzinfo=UTC) if begun else None,
            author=author or _user(),
            **options,
        )
    click.echo(f"{metric} is compared with its level since {accepted:%Y-%m-%d %H:%M} UTC from now on", err=True)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user's name
        return ""
