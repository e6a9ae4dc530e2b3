"""`evalspan serve`: everything in one process, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging

import click

from ...queries.atomic_write import keep_files_private


@click.command()
@click.option("--store", metavar="DSN", help="chdb:///PATH for the embedded store, or http(s)://user:pw@host:port/db.")
@click.option("--host", help="Address to bind; anything but this machine needs [auth] keys.")
@click.option("--port", type=click.IntRange(0, 65535), help="OTLP/HTTP and dashboard; 0 picks a free one.  [4318]")
@click.option("--grpc-port", type=click.IntRange(-1, 65535), help="OTLP/gRPC; 0 picks one, -1 is off.  [4317]")
@click.option("--sql-port", type=click.IntRange(-1, 65535), help="ClickHouse's HTTP protocol, read-only.  [8123]")
def serve(
    store: str | None,
    host: str | None,
    port: int | None,
    grpc_port: int | None,
    sql_port: int | None,
) -> None:
    """Receive spans, store them, evaluate them, show them: everything in one process.

    Prints `ready` on stdout when it accepts spans. SIGTERM finishes what was accepted and exits 0.
    """
    from ..config import load_config
    from ..log_output import configure_log

    _quieten()
    keep_files_private()
    flags = {
        "store.dsn": store,
        "receive.host": host,
        "receive.port": port,
        "receive.grpc_port": grpc_port,
        "receive.sql_port": sql_port,
    }
    config = load_config(flags=flags)
    configure_log(config.log)
    from ...queries.store.config import parse_dsn
    from ...queries.store.engine import load_engine
    from ..service import Service

    if parse_dsn(config.store.dsn or None).embedded:
        load_engine()
    asyncio.run(_serve(Service, config))


def _quieten() -> None:
    """An outage of the store is told once, by us; what was no HTTP is the sender's matter, and no traceback of ours."""
    from aiohttp.http_exceptions import HttpProcessingError

    def is_ours(record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))

    logging.getLogger("aiohttp.server").addFilter(is_ours)
    for name in ("urllib3.connectionpool", "clickhouse_connect"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


async def _serve(service: type, config: object) -> None:
    await service(config).run()
