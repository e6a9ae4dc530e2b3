"""`evalspan replay`: records that were set aside go through the running service once more."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import click

from ...errors import CollectorUnreachable, UsageError
from ...queries.cli.options import store_option
from ...queries.store.config import parse_dsn
from ...queries.store.lock_file import service_of


@click.command()
@store_option
@click.option("--signal", type=click.Choice(["spans", "scores", "messages"]), help="Only these records.")
def replay(dsn: str | None, signal: str | None) -> None:
    """Insert again what was set aside, for example after an upgrade.

    `evalspan status` lists what was set aside and why. A record that still cannot be inserted is set aside again.
    """
    location = parse_dsn(dsn)
    owner = service_of(Path(location.path)) if location.embedded else None
    if owner is None:
        raise CollectorUnreachable(
            f"No `evalspan serve` runs on {location.shown}, and records are replayed through it.",
            hint="Start it with the same --store, then run this again.",
        )
    address = urlsplit(owner.http)
    connection = http.client.HTTPConnection(address.hostname or "127.0.0.1", address.port, timeout=120)
    try:
        query = f"?{urlencode({'signal': signal})}" if signal else ""
        connection.request("POST", f"/api/v1/replay{query}", headers={"Authorization": f"Bearer {owner.token}"})
        answer = connection.getresponse()
        document = json.loads(answer.read())
    except (OSError, ValueError) as error:
        raise CollectorUnreachable(f"{owner.http} does not answer: {error}.", hint="`evalspan status`") from error
    finally:
        connection.close()
    for name, count in document.get("replayed", {}).items():
        if count:
            click.echo(f"{count} records of {name} are in the log again")
    if answer.status != 200:
        raise UsageError(f"Not everything was replayed: {document.get('message')}", hint="Try again in a moment.")
    if not any(document["replayed"].values()):
        click.echo("nothing was set aside", err=True)
