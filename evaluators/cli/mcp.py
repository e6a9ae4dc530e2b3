"""`evalspan mcp`: an MCP server on stdin and stdout, for assistants that look at traces and scores."""

from __future__ import annotations

import sys

import click

from ...errors import UsageError
from ...queries.cli.options import project_option, store_option


@click.command()
@project_option
@store_option
def mcp(project: str, dsn: str | None) -> None:
    """Serve read-only tools over the Model Context Protocol on stdin and stdout.

    The store is that of the running service, or its SQL port elsewhere with a project's key as the password, which then
    decides what is seen:

    \b
    evalspan mcp
    evalspan mcp --store http://evalspan:KEY@evalspan.example.com:8123
    """
    from ...queries.store.client import connect, open_store
    from ...queries.store.config import parse_dsn
    from ..mcp_server import build_server

    if not hasattr(sys.stdin, "buffer") or not hasattr(sys.stdout, "buffer"):
        raise UsageError("The protocol is spoken on pipes.", hint="Let an MCP client start `evalspan mcp`.")
    store = connect(dsn) if parse_dsn(dsn).embedded else open_store(dsn, migrate=False)
    try:
        build_server(store, project).run("stdio")
    finally:
        store.close()
