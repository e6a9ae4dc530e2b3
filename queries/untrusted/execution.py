"""One statement that the embedded engine runs: its answer in bytes, what it has read, and its end."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from ...errors import QueryError
from ..store.engine import first_line

TOO_MANY_BYTES = 396

# chDB encodes each block by itself; only these formats are still one document when blocks are put together.
STREAMED = {"Native", "TabSeparated", "TSV", "CSV", "RowBinary", "JSONEachRow", "JSONCompactEachRow", "TSVRaw"}
_CODE = re.compile(r"Code: (\d+)")


class Statistics(msgspec.Struct):
    """What a statement has read and made so far."""

    read_rows: int = 0
    read_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0
    elapsed_ns: int = 0

    def summary(self) -> dict[str, str]:
        """As ClickHouse's X-ClickHouse-Summary has it."""
        return {name: str(value) for name, value in msgspec.structs.asdict(self).items()}


class Reply(msgspec.Struct):
    """The answer of one statement: its format, and bytes that must be read to the end or closed."""

    format: str
    chunks: Iterator[bytes]
    statistics: Statistics
    complete: bool  # all bytes are there already, and so are the statistics


class QueryExecution:
    """A statement that runs: its handle and what to release, once, by `end`."""

    def __init__(self, handle: Any, release: Callable[[], None], max_bytes: int) -> None:
        self.handle, self._release, self._max_bytes = handle, release, max_bytes
        self.hidden: dict[str, str] = {}
        """Names that errors show as others."""
        self.statistics = Statistics()
        self._started = time.perf_counter_ns()
        self._ended = False

    def end(self) -> None:
        """Closes the handle and gives the place back; a second call does nothing."""
        if not self._ended:
            self._ended = True
            self.handle.close()
            self._release()

    def read_all(self, sql: str, format_: str, parameters: dict[str, str]) -> bytes:
        """The whole answer. Raises what the engine raises, and QueryError when it is too long."""
        answer = self.handle.query(sql, format_, params=parameters)
        return self._counted(answer)

    def stream(self, sql: str, format_: str, parameters: dict[str, str]) -> Generator[bytes]:
        """The answer as it comes; ends the statement. Raises QueryError."""
        begun = False
        try:
            with engine_errors(self.hidden):
                blocks = self.handle.send_query(sql, format_, params=parameters)
                try:
                    for block in blocks:
                        begun = True
                        yield self._counted(block)
                finally:
                    blocks.close()
                if not begun:
                    # A stream without rows says nothing, not even its columns' names: ask once more, whole.
                    yield self.read_all(sql, format_, parameters)
        finally:
            self.end()

    def _counted(self, answer: Any) -> bytes:
        body = bytes(answer.bytes() or b"")
        self.statistics.read_rows += int(answer.storage_rows_read())
        self.statistics.read_bytes += int(answer.storage_bytes_read())
        self.statistics.result_rows += int(answer.rows_read())
        self.statistics.result_bytes += len(body)
        self.statistics.elapsed_ns = time.perf_counter_ns() - self._started
        if self.statistics.result_bytes > self._max_bytes:  # the engine's own limit does not see streams
            raise QueryError(
                f"Limit for result exceeded, max bytes: {self._max_bytes}.", hint="Ask for less.", code=TOO_MANY_BYTES
            )
        return body


class Rejoined(Iterator[bytes]):
    """A stream with its first block put back. No generator: closing one that nobody began to read closes nothing."""

    def __init__(self, first: bytes, rest: Generator[bytes]) -> None:
        self._first, self._rest = first, rest

    def __next__(self) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        return next(self._rest)

    def close(self) -> None:
        """Stops the statement and gives its handle back."""
        self._rest.close()


@contextmanager
def engine_errors(hidden: Mapping[str, str] | None = None) -> Iterator[None]:
    """Turns the engine's errors into QueryError, with each name of `hidden` shown as another."""
    from chdb import ChdbError

    try:
        yield
    except (ChdbError, RuntimeError) as error:
        text = str(error)
        for name, shown in (hidden or {}).items():
            text = text.replace(name, shown)
        found = _CODE.search(text)
        raise QueryError(first_line(text), code=int(found.group(1)) if found else 0) from error
    except UnicodeDecodeError as error:
        raise QueryError("The engine refuses a value that is not valid UTF-8.", hint="Send text as UTF-8.") from error
