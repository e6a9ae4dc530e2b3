"""What commands, queries and evaluators need of a store, opened in this process or reached through the running service."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Protocol, Self

from ..untrusted.sql_gate import Limits
from .config import Location
from .result import Result


class StoreClient(Protocol):
    """Reads and writes rows; `Store` and `RemoteStore` have this form."""

    location: Location
    dsn: str
    described: str
    """The DSN without its password, and the setting that names it."""
    embedded: bool

    @property
    def spans_here(self) -> str:
        """The table of the spans that lie on this server: on a cluster only those of its shard."""

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None, *, timeout_s: float = 30) -> Result:
        """Runs one reading statement. Raises QueryError, StoreUnreachable."""

    def query_untrusted(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> Result:
        """Runs a statement that somebody typed, within limits. Raises QueryError, StoreUnreachable."""

    def stream_untrusted(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> Generator[bytes]:
        """The same for a statement that ends in FORMAT: its bytes as they come."""

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Inserts rows, each a mapping from column to value. Raises UsageError, QueryError, StoreUnreachable."""

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Runs one statement that changes something. Raises QueryError; StoreError where only reading is possible."""

    def close(self) -> None:
        """Closes the connections."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
