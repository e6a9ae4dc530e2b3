"""What a query gives back: rows with their columns' names and types, the same from every kind of store."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from datetime import UTC
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import QueryError
from ..untrusted.sql_gate import Limits

if TYPE_CHECKING:
    from ..untrusted.execution import Reply
    from ..untrusted.reader import UntrustedReader

_PARAMETER = re.compile(r"\{\s*\w+\s*:[^{}]+\}")


class Result(msgspec.Struct, frozen=True):
    """Rows with their columns' names and ClickHouse types; times are aware UTC datetimes."""

    columns: list[str]
    types: list[str]
    rows: list[tuple[Any, ...]]

    def dicts(self) -> list[dict[str, Any]]:
        """The rows as dictionaries, in order."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def from_answer(answer: Any) -> Result:
    """From clickhouse-connect's QueryResult."""
    return Result(
        columns=list(answer.column_names),
        types=[kind.name for kind in answer.column_types],
        rows=[tuple(row) for row in answer.result_rows],
    )


def read_untrusted(
    reader: UntrustedReader, sql: str, parameters: Mapping[str, Any] | None, limits: Limits, project: str | None = None
) -> Result:
    """Runs SQL from outside through the gate and reads the answer. Raises QueryError as the gate and the engine do."""
    from clickhouse_connect.driver.ctypes import RespBuffCls
    from clickhouse_connect.driver.query import QueryContext
    from clickhouse_connect.driver.transform import NativeTransform

    reply = _started(reader, sql, parameters, limits, project)
    # Closed here, whatever happens: a statement that is left open until the interpreter ends takes it down with it.
    with closing(_Source(reply.chunks)) as source:
        if reply.format != "Native":
            raise QueryError(
                "The statement asks for a format of its own.", hint="Leave FORMAT out; use --format instead."
            )
        buffer: Any = RespBuffCls(source)  # type: ignore[no-untyped-call]
        return from_answer(
            NativeTransform().parse_response(buffer, QueryContext(tz_mode="aware", server_tz=UTC, apply_server_tz=True))
        )


def stream_untrusted(
    reader: UntrustedReader, sql: str, parameters: Mapping[str, Any] | None, limits: Limits
) -> Generator[bytes]:
    """The same, as bytes in the format that the statement names, as they come. Close it when it is not read to the end."""
    with closing(_Source(_started(reader, sql, parameters, limits).chunks)) as source:
        yield from source.gen


def _started(
    reader: UntrustedReader, sql: str, parameters: Mapping[str, Any] | None, limits: Limits, project: str | None = None
) -> Reply:
    from clickhouse_connect.driver.binding import bind_query

    # A statement without `{name:Type}` would have its `%` taken for Python's formatting.
    given = dict(parameters) if parameters and _PARAMETER.search(sql) else None
    bound, texts = bind_query(sql, given, UTC)
    return reader.run(
        bound.decode() if isinstance(bound, bytes) else bound,
        format_="Native",
        parameters={name.removeprefix("param_"): value for name, value in texts.items()},
        limits=limits,
        project=project,
    )


class _Source:
    """Bytes as the driver's buffer wants them."""

    exception_tag: str | None = None
    last_message: bytes | None = None

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.gen = iter(chunks)

    def close(self) -> None:
        """Stops the statement when its answer is not read to the end."""
        close = getattr(self.gen, "close", None)
        if close:
            close()
