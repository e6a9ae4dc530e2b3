"""Deep links: where the dashboard of the running service shows what a command has just printed."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import click

from ..store.protocol import StoreClient
from ..store.remote import RemoteStore

if TYPE_CHECKING:
    pass


def point_to(store: StoreClient, path: str, **query: str) -> None:
    """Says on stderr which page shows the same; says nothing when no service runs, for nothing would answer there."""
    if not isinstance(store, RemoteStore) or not store.owner.http:
        return
    asked = urlencode({name: value for name, value in query.items() if value})
    click.echo(f"dashboard: {store.owner.address or store.owner.http}{path}{'?' if asked else ''}{asked}", err=True)
