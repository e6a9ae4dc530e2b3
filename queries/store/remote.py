"""The store as seen from outside `evalspan serve`: reads through its SQL port, writes through its HTTP port."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec

from ...errors import QueryError, StoreError, StoreUnreachable, UsageError
from ..untrusted.sql_gate import Limits
from .answer_stream import blocks_of
from .config import DATABASE, Location
from .engine import open_client, translated
from .lock_file import Owner
from .owner_connection import connect_to_owner
from .result import Result, from_answer
from .row_encoding import Columns, encode_rows


class RemoteStore:
    """The same face as Store, over the running service's HTTP ports; reading SQL only, rows by table."""

    embedded = False
    spans_here = "spans"

    def __init__(self, owner: Owner, *, shown: str, described: str = "") -> None:
        """
        Raises:
            StoreUnreachable: the service does not answer.
        """
        sql = urlsplit(owner.sql)
        self.owner = owner
        self.dsn = shown
        self.described = described or shown
        self.location = Location(
            embedded=False,
            host=sql.hostname or "127.0.0.1",
            port=sql.port or 8123,
            secure=sql.scheme == "https",
            username="evalspan",
            password=owner.token,
            certificate=owner.certificate if sql.scheme == "https" else "",
        )
        self._client = open_client(self.location, database=DATABASE)
        self._columns: dict[str, Columns] = {}
        self._lock = threading.Lock()

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None, *, timeout_s: float = 30) -> Result:
        """Runs one reading statement on the service. Raises QueryError, StoreUnreachable."""
        with translated(sql):
            return from_answer(
                self._client.query(
                    sql,
                    parameters=dict(parameters) if parameters else None,
                    settings={"max_execution_time": timeout_s},
                )
            )

    def query_untrusted(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> Result:
        """Runs a statement that somebody typed; the service's own gate and limits apply. Raises as `query`."""
        return self.query(sql, parameters, timeout_s=limits.time_s)

    def stream_untrusted(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> Generator[bytes]:
        """The same for a statement that ends in FORMAT: its bytes as they come. Raises as `query`, at the first block."""
        with translated(sql):
            bound = dict(parameters) if parameters else None
            settings = {"max_execution_time": limits.time_s}
            yield from blocks_of(self._client.raw_stream(sql, parameters=bound, settings=settings))

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Inserts rows through `POST /api/v1/rows/{table}`. Raises UsageError, QueryError, StoreUnreachable."""
        if not rows:
            return
        with self._lock:
            if table not in self._columns:
                found = self.query(
                    "SELECT table, name, type FROM system.columns WHERE database = {database:String}",
                    {"database": DATABASE},
                )
                self._columns = Columns.by_table(found.rows)
        self.post(f"/api/v1/rows/{table}", encode_rows(table, rows, Columns.of(table, self._columns)))

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - Store's face
        """Refused: the SQL port only reads."""
        raise StoreError(
            f"`{' '.join(sql.split())[:80]}` changes the store, and the running service's SQL port only reads.",
            hint=f"Stop `evalspan serve` (process {self.owner.pid}) first.",
        )

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def post(self, path: str, body: bytes) -> str:
        """Sends a body to a route for the owner of the store, returns the answer. Raises as `insert`."""
        headers = {"Authorization": f"Bearer {self.owner.token}", "Content-Type": "application/x-ndjson"}
        connection = None
        try:
            connection = connect_to_owner(self.owner, 60)
            connection.request("POST", path, body=body, headers=headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except OSError as error:
            raise StoreUnreachable(
                f"The service at {self.owner.http} does not answer: {error}.", hint="`evalspan status` says more."
            ) from error
        finally:
            if connection is not None:
                connection.close()
        if answer.status < 300:
            return text
        message = _message(text) or f"HTTP {answer.status}"
        if answer.status in (404, 422):
            raise UsageError(message, hint="The service and this command may be of different versions.")
        if answer.status >= 500 or answer.status == 401:
            raise StoreUnreachable(f"The service refused the rows: {message}", hint="`evalspan status` says more.")
        raise QueryError(message)


def _message(text: str) -> str:
    try:
        found = msgspec.json.decode(text.encode(), type=dict[str, Any])
    except msgspec.DecodeError:
        return text.strip()[:300]
    return str(found.get("message") or found.get("error") or "")
