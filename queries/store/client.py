"""The store: ClickHouse, embedded or a server, behind one small synchronous face; everything that reads or writes rows goes through it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click
import msgspec

from ...errors import StoreLocked, StoreUnreachable
from ..literals import literal
from ..shares import Shares
from ..untrusted.pushdown import table_filters
from ..untrusted.reader import UntrustedReader
from ..untrusted.sql_gate import Limits, Names, examine
from ..untrusted.statement_settings import array_search_settings
from ..untrusted.tenancy import TenantViews, confine
from .answer_stream import blocks_of
from .cluster import CLUSTER_READER_SETTINGS, CLUSTER_WRITER_SETTINGS, check_cluster, cluster_of, on_cluster
from .config import Location, cluster_for, parse_dsn
from .engine import FINAL_SETTINGS, READER_SETTINGS, closed, open_client, translated
from .lock_file import service_of
from .migrations import bring_up_to_date
from .presence import refuse_empty, refuse_missing
from .result import Result, from_answer, read_untrusted, stream_untrusted
from .row_encoding import Columns, encode_rows
from .staging import insert_from_file, insert_native_file, insert_through_file

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from .protocol import StoreClient

__all__ = ["Result", "Store", "connect", "open_store"]


class Store:
    """
    An open store. Safe to use from many threads; async code goes through `asyncio.to_thread`.

    One client inserts spans, one everything else, and `readers` clients answer queries side by side: chDB runs one
    statement at a time on each.
    """

    def __init__(self, location: Location, *, readers: int = 2, migrate: bool = True, cluster: str = "") -> None:
        from .otlp_insert import OtlpInsert  # no command that goes through a service needs the decoder

        check_cluster(cluster, embedded=location.embedded)
        self.location = location
        self.dsn = location.shown
        self.described = location.described
        self.embedded = location.embedded
        self.insert_began_ms: int | None = None
        """When the insert of spans that is under way began, milliseconds since 1970: its rows are not visible yet."""
        self._columns: dict[str, Columns] = {}
        self._otlp = OtlpInsert(Path(location.path) if location.embedded else None)
        self._spans_lock, self._rows_lock = threading.Lock(), threading.Lock()
        self._spans_written = self._rows_written = 0
        self._free: queue.SimpleQueue[Client] = queue.SimpleQueue()
        self._readers: list[Client] = []
        self._untrusted = UntrustedReader(location.path, location.database)
        self._tenant_clients: dict[str, Client] = {}
        self._spans: Client | None = None
        self._rows: Client = open_client(location, database=None)
        try:
            self.cluster = "" if location.embedded else cluster_of(self._rows, location.database, cluster)
            ours = READER_SETTINGS if location.embedded else FINAL_SETTINGS  # a server may let nobody set more
            self._reader_settings = ours | (CLUSTER_READER_SETTINGS if self.cluster else {})
            self._tenants = TenantViews(location.database, cluster=self.cluster)
            if migrate:
                bring_up_to_date(self._rows, location.database, cluster=self.cluster)
            self._rows.close()
            writer_settings = CLUSTER_WRITER_SETTINGS | CLUSTER_READER_SETTINGS if self.cluster else None
            self._rows = open_client(location, database=location.database, settings=writer_settings)
            self._spans = open_client(location, database=location.database)
            for _ in range(max(1, readers)):
                self._readers.append(open_client(location, database=location.database, settings=self._reader_settings))
                self._free.put(self._readers[-1])
        except BaseException:
            self.close()
            raise

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, timeout_s: float = 30, max_rows: int = 0
    ) -> Result:
        """
        Runs one reading statement with ClickHouse parameters, `{name:Type}` in the text; its first `max_rows` rows, 0 for all.

        Raises:
            QueryError: ClickHouse refuses it, or it takes longer than `timeout_s` seconds.
            StoreUnreachable: the server does not answer.
        """
        with self._reader() as client, translated(sql):
            return from_answer(
                client.query(
                    sql,
                    parameters=dict(parameters) if parameters else None,
                    settings={"max_execution_time": timeout_s, "limit": max_rows},
                )
            )

    @property
    def spans_here(self) -> str:
        """The table of the spans that lie on this server: on a cluster only those of its shard."""
        return "spans_local" if self.cluster else "spans"

    @property
    def changes(self) -> tuple[int, int] | None:
        """Moves on with every write, so that what was read at one value is still so at the same; None: others write, too."""
        return (self._spans_written, self._rows_written) if self.embedded else None

    def answers(self) -> bool:
        """Whether a table of ours can be read now. Raises what `query` raises."""
        return bool(self.query("SELECT count() >= 0 FROM migrations", timeout_s=5).rows)

    def query_untrusted(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        project: str | None = None,
    ) -> Result:
        """
        Runs a statement that somebody typed: one, reading, of allowed functions and tables, within limits.

        With `project` only that project's rows are seen.

        Raises:
            QueryError: code 497 for what is not allowed, else what ClickHouse refuses.
        """
        if self.embedded:
            return read_untrusted(self._untrusted, sql, parameters, limits, project)
        with self._untrusted_session(sql, parameters, limits, project) as (client, confined, given):
            return from_answer(client.query(confined, **given))

    def stream_untrusted(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> Generator[bytes]:
        """
        The same for a statement that ends in FORMAT: its bytes as they come. Close it when it is not read to the end.

        Raises:
            QueryError: as `query_untrusted`, at the first block.
        """
        if self.embedded:
            yield from stream_untrusted(self._untrusted, sql, parameters, limits)
            return
        with self._untrusted_session(sql, parameters, limits, None) as (client, checked, given):
            yield from blocks_of(client.raw_stream(checked, **given))

    def share_places(self, places: Shares) -> None:
        """Statements that somebody typed run in these places from now on."""
        self._untrusted = UntrustedReader(self.location.path, self.location.database, slots=places)

    def cancel_untrusted(self) -> None:
        """Ends what still runs of untrusted statements in the embedded engine, which closes only after them."""
        if self.embedded:
            self._untrusted.cancel()

    @contextmanager
    def _untrusted_session(
        self, sql: str, parameters: Mapping[str, Any] | None, limits: Limits, project: str | None
    ) -> Iterator[tuple[Client, str, dict[str, Any]]]:
        """A client of a server, the statement as it may run there, and what to give beside it."""
        bound = dict(parameters) if parameters else None
        names = Names(self.location.database)
        with self._reader() as client, translated(sql):
            if project is not None:
                names = names.confined(self._tenants.ensure(project, self._execute))
                client = self._tenant_client(names.tenant)  # noqa: PLW2901 - the reader is held as its place
                texts = {name: str(value) for name, value in (parameters or {}).items()}
                sql = confine(sql, texts, names.own, names.tenant)

            def engine(text: str) -> str:
                return client.raw_query(text, parameters=bound, fmt="TSVRaw").decode()

            found = examine(sql, engine, names)
            confined: dict[str, Any] = {"enable_analyzer": 1} if project is not None else {}
            if found.searches_arrays:
                confined |= array_search_settings()
            if project is not None and (filters := table_filters(sql, found.tree, names.own, engine)):
                confined["additional_table_filters"] = filters
            bounds = {**limits.settings(), **confined, "readonly": 1}
            # What confines a key's statement is never left out: a server that does not take it refuses the statement.
            settings = _settable(client, bounds) if project is None else bounds
            yield client, sql, {"parameters": bound, "settings": settings}

    def _execute(self, statement: str) -> str:
        with self._writing_rows():
            if statement.startswith("SELECT"):
                return self._rows.raw_query(statement, fmt="TSVRaw").decode()
            self._rows.command(statement)
        return ""

    def _tenant_client(self, database: str) -> Client:
        """A server's client whose unqualified tables are the project's views."""
        if database not in self._tenant_clients:
            settings = FINAL_SETTINGS | (CLUSTER_READER_SETTINGS if self.cluster else {})
            self._tenant_clients[database] = open_client(self.location, database=database, settings=settings)
        return self._tenant_clients[database]

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Runs one statement that changes something. Raises QueryError when ClickHouse refuses it."""
        with self._writing_rows(), translated(sql):
            self._rows.command(sql, parameters=dict(parameters) if parameters else None)

    def alter(self, table: str, action: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Runs ALTER TABLE on a table of ours, on a cluster on every shard's. Raises QueryError when ClickHouse refuses it."""
        statement = f"ALTER TABLE {table} {action}"
        steps = on_cluster(statement, self.cluster, self.location.database) if self.cluster else [statement]
        for step in steps:
            self.command(step, parameters)

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """
        Inserts rows, each a mapping from column to value; columns left out take their defaults.

        Dictionaries and lists for String columns are stored as JSON. Times are aware datetimes, or UTC.

        Raises:
            UsageError: there is no such table or column, or a number is NaN or infinite.
            QueryError: ClickHouse refuses a value.
        """
        if not rows:
            return
        block = encode_rows(table, rows, self._columns_of(table))
        with self._writing_rows(), translated(f"INSERT INTO {table}"):
            self._insert(self._rows, table, block, "JSONEachRow", {"date_time_input_format": "best_effort"})

    def insert_from(self, rows: Sequence[Mapping[str, Any]], structure: str, sql: str) -> None:
        """
        Runs an INSERT ... SELECT that reads these rows, of that ClickHouse structure, where it says `{rows}`, and has
        `{spans}` for the spans that lie on this server: on a cluster a span is written again where it was.

        The rows travel as data: a server takes no parameter of more than 128 KiB.

        Raises:
            QueryError: ClickHouse refuses the statement or a value; nothing is inserted.
        """
        block = b"\n".join(msgspec.json.encode(row) for row in rows)
        sql = sql.replace("{spans}", self.spans_here)
        with self._writing_rows(), translated(sql):
            if self.embedded:
                insert_from_file(self._rows, Path(self.location.path), sql, block, structure)
            else:
                statement = sql.replace("{rows}", f"input({literal(structure)})") + "FORMAT JSONEachRow\n"
                self._rows.raw_insert("", insert_block=statement.encode() + block)

    def insert_native(
        self, table: str, columns: Sequence[str], block: bytes, *, into: Sequence[str] | None = None
    ) -> None:
        """
        Inserts rows in ClickHouse's Native format that have these columns; `into` names those to keep, else all.

        Raises:
            QueryError: the block does not hold those columns, or ClickHouse refuses a value.
        """
        kept = ", ".join(f"`{column}`" for column in into or columns)
        with self._writing_rows(), translated(f"INSERT INTO {table}"):
            if self.embedded:
                insert_native_file(self._rows, Path(self.location.path), table, kept, block)
            elif not into or tuple(into) == tuple(columns):
                statement = f"INSERT INTO {table} ({kept}) FORMAT Native\n"
                self._rows.raw_insert("", insert_block=statement.encode() + block)
            else:
                structure = {name: self._columns_of(table).types[name] for name in columns}
                described = literal(", ".join(f"`{name}` {kind}" for name, kind in structure.items()))
                statement = f"INSERT INTO {table} ({kept}) SELECT {kept} FROM input({described}) FORMAT Native\n"  # noqa: S608
                self._rows.raw_insert("", insert_block=statement.encode() + block)

    def insert_otlp(self, segment: bytes, *, token: str) -> None:
        """
        Inserts length-delimited OTLP records (see schema/otlp.proto); a token that was inserted before adds nothing.

        Raises:
            QueryError: a record is not the protobuf it should be; nothing of the segment is stored.
        """
        assert self._spans is not None
        with self._spans_lock, translated("INSERT INTO spans"):
            self.insert_began_ms = time.time_ns() // 1_000_000
            try:
                self._otlp.insert(self._spans, segment, token)
            finally:
                self.insert_began_ms = None
                self._spans_written += 1

    def _insert(self, client: Client, table: str, block: bytes, fmt: str, settings: dict[str, str | int]) -> None:
        if self.embedded:
            insert_through_file(client, Path(self.location.path), table, block, fmt, settings)
        else:
            client.raw_insert(table, insert_block=block, fmt=fmt, settings=settings)

    def close(self) -> None:
        """Closes every client; the embedded engine stops with the last one."""
        for client in (*self._readers, *self._tenant_clients.values(), self._spans, self._rows):
            closed(client)
        self._readers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _columns_of(self, table: str) -> Columns:
        if table not in self._columns:
            found = self.query(
                "SELECT table, name, type FROM system.columns WHERE database = {database:String}",
                {"database": self.location.database},
            )
            self._columns = Columns.by_table(found.rows)
        return Columns.of(table, self._columns)

    @contextmanager
    def _writing_rows(self) -> Iterator[None]:
        """The one place for everything but spans; counted also when it fails, since some of it may be there."""
        with self._rows_lock:
            try:
                yield
            finally:
                self._rows_written += 1

    @contextmanager
    def _reader(self) -> Iterator[Client]:
        client = self._free.get()
        try:
            yield client
        finally:
            self._free.put(client)


def _settable(client: Client, settings: dict[str, Any]) -> dict[str, Any]:
    """The time alone where the server only reads and has bounds of its own: the SQL port of a service elsewhere."""
    own = client.server_settings.get("readonly")
    return {"max_execution_time": settings["max_execution_time"]} if own is not None and own.readonly else settings


def open_store(
    dsn: str | Location | None = None, *, readers: int = 2, migrate: bool = True, cluster: str = ""
) -> Store:
    """
    Opens the store that a DSN names: chdb:///path in this process, or http(s)://user:password@host:port/database.

    Without a DSN: EVALSPAN_STORE, else the user's data directory. `migrate` brings the schema up to date first,
    on `cluster` when the server is part of one.

    Raises:
        UsageError: the DSN cannot be one.
        StoreLocked: another process has the embedded store; the message names it and its HTTP ports.
        StoreUnreachable: the server does not answer or refuses us.
    """
    return Store(parse_dsn(dsn), readers=readers, migrate=migrate, cluster=cluster)


def connect(dsn: str | Location | None = None, *, create: bool = False) -> StoreClient:
    """
    The store for a command: through the running service when one owns it, else opened here.

    Raises what `open_store` raises, and StoreUnreachable when the store is not there and `create` is not set: whoever
    only reads makes none, and leaves the schema of a server as it is.
    """
    from .remote import RemoteStore

    location = parse_dsn(dsn)
    is_new = location.embedded and not Path(location.path).exists()
    if not create:
        refuse_missing(location)
    if not location.embedded:
        # Whoever only reads a server changes nothing there: its user may be a reader, and its service an older release.
        store = open_store(dsn, migrate=create, cluster=cluster_for(location) if create else "")
        if not create:
            refuse_empty(store)
        return store
    owner = service_of(Path(location.path))
    if owner is not None:
        try:
            return RemoteStore(owner, shown=location.shown, described=location.described)
        except StoreUnreachable:
            pass  # the service was killed and its number belongs to another process now
    try:
        store = open_store(dsn)
    except StoreLocked:
        owner = service_of(Path(location.path))  # it may have come up this moment
        if owner is None:
            raise
        return RemoteStore(owner, shown=location.shown, described=location.described)
    if is_new:
        click.echo(f"{location.shown} did not exist: it is new, and empty", err=True)
    return store
