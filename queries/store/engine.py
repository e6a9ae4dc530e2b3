"""The one place that opens ClickHouse clients, embedded or over HTTP, and turns their errors into ours."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ...errors import QueryError, StoreError, StoreLocked, StoreUnreachable
from .config import Location
from .lock_file import locked_by_another, owner_of

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

# Every reader sees each span and each evaluation once, also before ClickHouse has merged a retry away. Rows with the
# same key always share a partition, so each partition is looked at alone, and a merged one costs nothing.
FINAL_SETTINGS = {"final": 1, "do_not_merge_across_partitions_select_final": 1}
# In statements of our own, conditions on the sorting key alone are looked at first, so that other columns are read of
# what is left. Not in those of others: what keeps projects apart was tried without it.
READER_SETTINGS = {**FINAL_SETTINGS, "optimize_move_to_prewhere_if_final": 1}
TIMES = {"session_timezone": "UTC"}

_CODE = re.compile(r"Code: (\d+)")
# What was asked stands in the address, schema and all: pages of it, and other ones each time.
_ADDRESS_QUERY = re.compile(r"/?\?\S+")
_TAIL = re.compile(r"\s*\(version (?:[^()]|\([^()]*\))*\)(\s*\(for url [^)]*\))?\s*$")
# A syntax error lists every token that could stand there, and the statement by which the gate found out where it breaks.
_EXPECTED = re.compile(r"(Expected one of: (?:[^,:]+, ){4})[^:]*?(?=: In scope|\. |\s*\(SYNTAX_ERROR\)|$)")
_ASKED_WHERE = re.compile(r": In scope SELECT formatQuery\(.*\)(?=\. \(|\s*\(SYNTAX_ERROR|$)", re.DOTALL)
# An error that passed through another statement is told in its words, too.
_CODES = re.compile(r"^(?:Code: \d+\. DB::Exception: )+")
_AGAIN = re.compile(r"( \([A-Z_]+\))(?: \(version [^)]*\)\. \([A-Z_]+\))+$")
# "Caused by NewConnectionError('<...>: Failed to establish a new connection: [Errno 111] Connection refused')".
_CAUSE = re.compile(r"Caused by \w+\((?:\w+\(\d+, )?[\"'](?:<[^>]*>: |\w+\([^)]*\): )?(.+?)[\"']\)")
_CONNECTION_HINTS = (
    (
        "CERTIFICATE_VERIFY_FAILED",
        "Its certificate is not trusted here: SSL_CERT_FILE may name the file of its authority.",
    ),
    ("WRONG_VERSION_NUMBER", "There is no TLS on that port: write http:// in --store, EVALSPAN_STORE or [store] dsn."),
    ("Remote end closed", "A port with TLS needs https:// in --store, EVALSPAN_STORE or [store] dsn."),
)
_UNREACHABLE_CODES = {193, 194, 209, 210, 516}  # wrong or missing password, network, authentication


def load_engine() -> None:
    """Loads the embedded engine without Arrow, which it takes where it finds it: 35 MB and 70 ms for nothing we call.

    For a process that is ours alone; chDB's own functions for Arrow tables raise ImportError in it afterwards.
    """
    if "chdb" in sys.modules or "pyarrow" in sys.modules:
        return
    hidden = cast("dict[str, Any]", sys.modules)
    hidden["pyarrow"] = None  # what the import system itself keeps for a module that must not be found
    try:
        import chdb.state  # noqa: F401 - some releases load it, and Arrow with it, only when a store is opened
    finally:
        del hidden["pyarrow"]


def open_client(location: Location, *, database: str | None, settings: dict[str, Any] | None = None) -> Client:
    """
    A ClickHouse client: its own handle on the embedded engine, or an HTTP connection pool.

    Raises:
        StoreLocked: another process has the embedded store.
        StoreUnreachable: the server does not answer or refuses the user.
        StoreError: the directory cannot be used.
    """
    import clickhouse_connect

    # The driver reports what it also raises; a bare "Unexpected Http Driver Exception" helps nobody.
    logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())
    wanted = {**TIMES, **(settings or {})}
    if location.embedded:
        try:
            folder = Path(location.path)
            folder.mkdir(parents=True, exist_ok=True)
            if folder.stat().st_uid == os.getuid():
                folder.chmod(0o700)  # prompts and answers are in the files below, which are made readable for all
        except OSError as error:
            raise StoreError(
                f"The store's directory {location.path} cannot be made: {error.strerror}.",
                hint="Choose another one with --store chdb:///PATH or EVALSPAN_STORE.",
            ) from error
        if locked_by_another(Path(location.path)):
            raise _locked(location)
        with _opening(location):
            return _in_utc(
                clickhouse_connect.get_client(
                    interface="chdb", path=location.path, database=database, settings=wanted, tz_mode="aware"
                )
            )
    with _opening(location):
        return _in_utc(
            clickhouse_connect.get_client(
                **location.client_arguments(),
                database=database or "default",
                settings=wanted,
                tz_mode="aware",
                autogenerate_session_id=False,
                connect_timeout=5,
                send_receive_timeout=300,
            )
        )


def _in_utc(client: Client) -> Client:
    """The driver writes and reads times in the machine's zone otherwise, while the session is in UTC."""
    client.server_tz = UTC
    client._apply_server_tz = True  # noqa: SLF001 - `tz_source="server"` would take the zone of the embedded process
    return client


@contextmanager
def translated(sql: str = "") -> Iterator[None]:
    """Turns a client's exceptions into QueryError and StoreUnreachable; `sql` is shown with a refusal."""
    from clickhouse_connect.driver import exceptions as clickhouse

    try:
        yield
    except clickhouse.Error as error:
        raise _translate(error, sql) from error
    except UnicodeDecodeError as error:
        # chDB hands out messages that quote the value it could not read, whatever its bytes are.
        raise QueryError("ClickHouse refused a value that is not valid UTF-8.", hint="Send text as UTF-8.") from error


def _translate(error: Exception, sql: str) -> StoreError:
    text = str(error)
    found = _CODE.search(text)
    code = int(found.group(1)) if found else 0
    if not found and ("Connection" in text or "timed out" in text or "HTTPDriver" in text):
        return StoreUnreachable(
            f"The store does not answer: {_ADDRESS_QUERY.sub('', first_line(text))}",
            hint="Is it running? `evalspan status`",
        )
    if code in _UNREACHABLE_CODES:
        return StoreUnreachable(
            f"The store refuses us: {first_line(text)}", hint="Check user and password in the store's DSN."
        )
    shown = first_line(text)
    return QueryError(shown, hint=f"In: {' '.join(sql.split())[:300]}" if sql else "", code=code)


def first_line(text: str) -> str:
    """ClickHouse's message without stack, number, version and the long list of what could stand at a syntax error."""
    start = text.find("DB::Exception: ")
    body = text[start + len("DB::Exception: ") :] if start >= 0 else text
    told = _TAIL.sub("", body.split("Stack trace")[0]).strip()
    told = _AGAIN.sub(r"\1", _CODES.sub("", told))
    return _EXPECTED.sub(r"\1...", _ASKED_WHERE.sub("", told))


@contextmanager
def _opening(location: Location) -> Iterator[None]:
    from clickhouse_connect.driver import exceptions as clickhouse

    try:
        yield
    except (TimeoutError, clickhouse.Error, OSError) as error:
        text = str(error)
        if "already initialized" in text:
            raise StoreLocked(
                f"This process already has another embedded store open, so {location.path} cannot be opened.",
                hint="chDB runs one store a process: close the other one, or use `evalspan serve` and its HTTP ports.",
            ) from error
        if location.embedded:
            raise StoreError(
                f"The embedded store at {location.path} cannot be opened: {first_line(text)}",
                hint="Check the directory's owner and free space, or name another with --store.",
            ) from error
        said = "The ClickHouse refuses us" if _CODE.search(text) else "No ClickHouse answers"
        raise StoreUnreachable(f"{said} at {location.shown}: {_cause(text)}", hint=_way_on(text)) from error


def _cause(text: str) -> str:
    """Why there is no connection, out of the driver's words about its pools and tries."""
    found = _CAUSE.search(text)
    return found[1] if found else first_line(text).splitlines()[0]


def _way_on(text: str) -> str:
    for sign, hint in _CONNECTION_HINTS:
        if sign in text:
            return hint
    return "Check host, port, user and password in --store, EVALSPAN_STORE or [store] dsn."


def _locked(location: Location) -> StoreLocked:
    owner = owner_of(Path(location.path))
    if owner is not None and owner.sql:
        return StoreLocked(
            f"The store {location.path} belongs to `evalspan serve`, process {owner.pid}.",
            hint=f"Ask it over HTTP: SQL at {owner.sql} (ClickHouse's protocol, read-only), spans to {owner.http}.",
        )
    if owner is not None and owner.http:
        return StoreLocked(
            f"The store {location.path} belongs to `evalspan serve`, process {owner.pid}, whose SQL port is off.",
            hint=f"Start it with --sql-port 8123; spans go to {owner.http}.",
        )
    pid = f"process {owner.pid}" if owner else "another process"
    return StoreLocked(
        f"The store {location.path} is open in {pid}, which serves no HTTP.",
        hint="Wait until it ends, or keep `evalspan serve` running: then every command reads through its HTTP ports.",
    )


def closed(client: Client | None) -> None:
    """Closes a client that may not be there."""
    if client is not None:
        cast("Any", client).close()
