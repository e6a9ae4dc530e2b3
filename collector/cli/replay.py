"""`evalspan replay`: records that were set aside go through the running service once more; calls without a cost are priced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from ...errors import CollectorUnreachable, UsageError
from ...queries.cli.options import store_option
from ...queries.durations import parse_duration
from ...queries.store.client import Store, connect
from ...queries.store.config import Location, parse_dsn
from ...queries.store.lock_file import Owner, service_of
from ...queries.store.owner_connection import connect_to_owner
from ..config import load_config
from ..insert.prices import Pricing


@click.command()
@store_option
@click.option("--signal", type=click.Choice(["spans", "scores", "messages"]), help="Only these records.")
@click.option("--unpriced", is_flag=True, help="Instead: price the stored calls whose cost is not known.")
@click.option("--since", default="30d", show_default=True, help="With --unpriced, how far back: 24h, 30d.")
def replay(dsn: str | None, signal: str | None, unpriced: bool, since: str) -> None:
    """Insert again what was set aside, for example after an upgrade.

    `evalspan status` lists what was set aside and why. A record that still cannot be inserted is set aside again.

    With --unpriced: calls that were stored before their price was known, in the list or under [[prices]], get their cost.
    """
    location = parse_dsn(dsn)
    owner = service_of(Path(location.path)) if location.embedded else None
    if unpriced:
        count = _reprice(owner, dsn, int(parse_duration(since, name="--since").total_seconds()))
        click.echo(f"{count} calls are priced" if count else "no call without a cost has a known price")
    else:
        _replay(owner, location, signal)


def _reprice(owner: Owner | None, dsn: str | None, seconds: int) -> int:
    if owner is None:
        with connect(dsn) as store:
            if isinstance(store, Store):
                return Pricing(store, load_config().prices).reprice(seconds)
        raise CollectorUnreachable(
            "A service has just started on this store.", hint="Run this again: it asks the service."
        )
    status, document = _ask(owner, "reprice", {"seconds": str(seconds)}, timeout_s=3600)
    if status != 200:
        raise UsageError(f"Not everything was priced: {document.get('message')}", hint="Try again in a moment.")
    return int(document["repriced"])


def _replay(owner: Owner | None, location: Location, signal: str | None) -> None:
    if owner is None:
        raise CollectorUnreachable(
            f"No `evalspan serve` runs on {location.shown}, and records are replayed through it.",
            hint="Start it with the same --store, then run this again.",
        )
    status, document = _ask(owner, "replay", {"signal": signal} if signal else {}, timeout_s=120)
    for name, count in document.get("replayed", {}).items():
        if count:
            click.echo(f"{count} records of {name} are in the log again")
    if status != 200:
        raise UsageError(f"Not everything was replayed: {document.get('message')}", hint="Try again in a moment.")
    if not any(document["replayed"].values()):
        click.echo("nothing was set aside", err=True)


def _ask(owner: Owner, what: str, parameters: dict[str, str], *, timeout_s: float) -> tuple[int, dict[str, Any]]:
    connection = None
    try:
        connection = connect_to_owner(owner, timeout_s)
        query = f"?{urlencode(parameters)}" if parameters else ""
        connection.request("POST", f"/api/v1/{what}{query}", headers={"Authorization": f"Bearer {owner.token}"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except (OSError, ValueError) as error:
        raise CollectorUnreachable(f"{owner.http} does not answer: {error}.", hint="`evalspan status`") from error
    finally:
        if connection is not None:
            connection.close()
