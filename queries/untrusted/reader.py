"""Runs SQL from outside on the embedded engine after the gate: a handle a statement, bytes in the wanted format as they come."""

from __future__ import annotations

import logging
import re
import secrets
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

import msgspec

from ...errors import QueryError
from ..literals import literal
from ..store.engine import READER_SETTINGS, TIMES, first_line
from .external_tables import ExternalTable, examine_table, fill
from .sql_gate import Limits, examine, refused

logger = logging.getLogger(__name__)

TOO_MANY_QUERIES = 202
READONLY = 164
TOO_MANY_BYTES = 396

# chDB encodes each block by itself; only these formats are still one document when blocks are put together.
_STREAMED = {"Native", "TabSeparated", "TSV", "CSV", "RowBinary", "JSONEachRow", "JSONCompactEachRow", "TSVRaw"}
_ALLOWED_SETTING = re.compile(
    r"^(output_format_(json|csv|tsv|pretty|native|parquet|arrow|orc|avro|msgpack|markdown|xml|values|decimal|sql_insert"
    r"|write_statistics|float|binary|bson|always)\w*"
    r"|format_(csv_delimiter|csv_null_representation|tsv_null_representation|binary_max_\w+)"
    r"|(date_time|bool_true|bool_false)_\w+|join_use_nulls|extremes|final|group_by_use_nulls|union_default_mode"
    r"|session_timezone|max_block_size|max_execution_time|max_result_rows|max_threads|max_rows_to_read"
    r"|result_overflow_mode|limit|offset|low_cardinality_allow_in_native_format|enable_analyzer"
    r"|cast_keep_nullable|cast_string_to_\w+|aggregate_functions_null_for_empty|transform_null_in|log_comment|interactive_delay"
    r"|timeout_overflow_mode|connect_timeout|receive_timeout|send_timeout|input_format_\w+)$"
)
_WITH_PROJECT = (
    "spans", "evaluations", "examples", "experiments", "experiment_results", "alert_rules", "alerts", "cursors",
)  # fmt: skip
_CAPPED = {"max_execution_time": "time_s", "max_result_rows": "result_rows", "max_threads": "threads"}
_SETTINGS = re.compile(
    r"\bSETTINGS\s+(\w+\s*=\s*(?:[\w.]+|'[\w ./-]*')(?:\s*,\s*\w+\s*=\s*(?:[\w.]+|'[\w ./-]*'))*)\s*((?:FORMAT\s+\w+)?)\s*;?\s*$",
    re.IGNORECASE,
)
_SETTING = re.compile(r"(\w+)\s*=\s*([\w.]+|'[\w ./-]*')")
# `ORDER BY format DESC` and the like end in words that name no format.
_FORMAT = re.compile(r"\bFORMAT\s+(?!(?:ASC|DESC|FINAL)\b)(\w+)\s*;?\s*$", re.IGNORECASE)
_NO_CODE = re.compile(r"""('(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*")|--[^\n]*|/\*.*?\*/""", re.DOTALL)
_CODE = re.compile(r"Code: (\d+)")
# How Go clients (Grafana's among them) greet a server; the name would be the machine's own.
_GREETING, _GREETED = "SELECT displayName(), version(), revision(), timezone()", "'evalspan' AS `displayName()`"


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


class Reader:
    """Runs statements from outside on one embedded store, at most `slots` at a time."""

    def __init__(self, path: str, database: str, *, slots: int = 4, wait_s: float = 10) -> None:
        self._path, self._database, self._wait_s = path, database, wait_s
        self._slots = threading.BoundedSemaphore(slots)
        self._mark = f"evalspan-{secrets.token_hex(8)}"

    def run(
        self,
        sql: str,
        *,
        format_: str = "TabSeparated",
        parameters: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        project: str | None = None,
        tables: Sequence[ExternalTable] = (),
        name: str = "",
    ) -> Reply:
        """
        Starts one statement. `parameters` are ClickHouse's escaped texts, `project` hides the rows of the others,
        `tables` are there for this statement alone, `name` is what `cancel` finds it by.

        Raises:
            QueryError: the gate or the engine refuses it; 202 when all slots stay taken.
        """
        import chdb

        if sql.strip() == _GREETING:
            sql = sql.replace("displayName()", _GREETED)
        sql, own_settings = _taken_settings(sql)
        asked = {**(settings or {}), **own_settings}
        asked["log_comment"] = f"{self._mark} {name} {asked.get('log_comment', '')}"
        assignments = _assignments(asked, limits, project, self._database)
        if not self._slots.acquire(timeout=self._wait_s):
            raise QueryError(
                f"Too many statements run at once; none of them ended within {self._wait_s:g} s.",
                hint="Send them one after the other.",
                code=TOO_MANY_QUERIES,
            )
        connect: Any = chdb.connect  # typed in some releases only
        handle = connect(self._path)
        turn = _Turn(handle, self._slots, limits.result_bytes)
        try:
            with _refusals():
                turn.handle.query(f"USE {self._database}")
                return self._started(turn, sql, format_, dict(parameters or {}), assignments, tables)
        except BaseException:
            turn.end()
            raise

    def cancel(self, name: str = "") -> None:
        """Ends the statement of that name, or all of them, with ClickHouse's QUERY_WAS_CANCELLED; fine when none runs."""
        import chdb

        connect: Any = chdb.connect
        try:
            with closing(connect(self._path)) as handle, _refusals():
                handle.query(f"KILL QUERY WHERE startsWith(Settings['log_comment'], '{self._mark} {name}') ASYNC")
        except (QueryError, RuntimeError) as error:
            logger.warning("statements run on until their time limit: %s", error)

    def _started(
        self,
        turn: _Turn,
        sql: str,
        format_: str,
        parameters: dict[str, str],
        assignments: str,
        tables: Sequence[ExternalTable],
    ) -> Reply:
        def engine(text: str) -> str:
            answer = bytes(turn.handle.query(text, "TSVRaw", params=parameters).bytes())
            return answer.decode(errors="replace")  # a literal may hold any bytes; such a name is on no list

        _classify(turn.handle, sql)
        found = examine(sql, engine, own=self._database)
        definitions = [examine_table(table, engine, lambda text: _classes(turn.handle, text)[0]) for table in tables]
        # Only now: `limit` and the like would cut the tree that was examined.
        turn.handle.query(f"SET {assignments}")
        for table, definition in zip(tables, definitions, strict=True):
            turn.handle.query(definition)
            fill(turn.handle, table)
        # Under readonly = 1 every setting is shown as one that nobody may change, and drivers then send none.
        turn.handle.query(f"SET readonly = {2 if found.about_settings else 1}")
        chosen = found.output_format or ("" if found.selects else trailing_format(sql)) or format_
        if found.selects and chosen in _STREAMED:
            chunks = turn.stream(sql, format_, parameters)
            first = next(chunks, b"")  # what fails at once fails before the answer has begun
            return Reply(chosen, _Rejoined(first, chunks), turn.statistics, complete=False)
        body = turn.whole(sql, format_, parameters)
        turn.end()
        return Reply(chosen, iter([body] if body else []), turn.statistics, complete=True)


class _Turn:
    """One statement's own handle and its slot; both are given back once, by `end`."""

    def __init__(self, handle: Any, slots: threading.BoundedSemaphore, most_bytes: int) -> None:
        self.handle, self._slots, self._most_bytes = handle, slots, most_bytes
        self.statistics = Statistics()
        self._started = time.perf_counter_ns()
        self._ended = False

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self.handle.close()
            self._slots.release()

    def whole(self, sql: str, format_: str, parameters: dict[str, str]) -> bytes:
        answer = self.handle.query(sql, format_, params=parameters)
        return self._counted(answer)

    def stream(self, sql: str, format_: str, parameters: dict[str, str]) -> Generator[bytes]:
        begun = False
        try:
            with _refusals():
                blocks = self.handle.send_query(sql, format_, params=parameters)
                try:
                    for block in blocks:
                        begun = True
                        yield self._counted(block)
                finally:
                    blocks.close()
                if not begun:
                    # A stream without rows says nothing, not even its columns' names: ask once more, whole.
                    yield self.whole(sql, format_, parameters)
        finally:
            self.end()

    def _counted(self, answer: Any) -> bytes:
        body = bytes(answer.bytes() or b"")
        self.statistics.read_rows += int(answer.storage_rows_read())
        self.statistics.read_bytes += int(answer.storage_bytes_read())
        self.statistics.result_rows += int(answer.rows_read())
        self.statistics.result_bytes += len(body)
        self.statistics.elapsed_ns = time.perf_counter_ns() - self._started
        if self.statistics.result_bytes > self._most_bytes:  # the engine's own limit does not see streams
            raise QueryError(
                f"Limit for result exceeded, max bytes: {self._most_bytes}.", hint="Ask for less.", code=TOO_MANY_BYTES
            )
        return body


class _Rejoined(Iterator[bytes]):
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


def _classify(handle: Any, sql: str) -> None:
    """
    Lets one reading statement through. What cannot be read to its end must not reach the engine even behind EXPLAIN:
    the engine runs every statement that stands before the broken one.
    """
    count, kind, secrets = _classes(handle, sql)
    if count > 1:
        raise QueryError("Multi-statements are not allowed.", hint="Send one statement at a time.", code=62)
    if count < 1 or _classes(handle, f"EXPLAIN AST {sql}")[0] != 1:
        handle.query("SELECT formatQuery({sql:String})", "TSV", params={"sql": _escaped(sql)})  # says where it breaks
        raise refused("This is not one statement that only reads.")  # such as an INSERT with its data
    if not kind.endswith(("READ_ONLY", "UNKNOWN")) or secrets:
        raise refused("This is not a statement that only reads.")


def _classes(handle: Any, sql: str) -> tuple[int, str, bool]:
    found = handle._conn.classify_query(sql)  # noqa: SLF001 - chDB's only door to its own classification
    return int(found["statement_count"]), str(found["query_class"]), bool(found["has_secrets"])


def _taken_settings(sql: str) -> tuple[str, dict[str, str]]:
    """The statement without the SETTINGS clause at its end, which the handle gets instead: it is read-only then."""
    found = _SETTINGS.search(sql)
    if not found:
        return sql, {}
    values = {name: value.strip("'") for name, value in _SETTING.findall(found.group(1))}
    return sql[: found.start()] + " " + found.group(2), values


def check_settings(settings: Mapping[str, str]) -> None:
    """Raises QueryError, code 164, for a setting that SQL from outside may not change."""
    for name in settings:
        if not _ALLOWED_SETTING.match(name):
            raise QueryError(
                f"Cannot modify '{name}' setting in readonly mode.",
                hint="docs/sql.md lists what may be set.",
                code=READONLY,
            )


def _assignments(settings: dict[str, str], limits: Limits, project: str | None, database: str) -> str:
    check_settings(settings)
    capped = {
        name: _smaller(settings[name], getattr(limits, field)) for name, field in _CAPPED.items() if name in settings
    }
    if "result_overflow_mode" in settings:
        capped["result_overflow_mode"] = settings["result_overflow_mode"]  # less than the limit, or an error
    every = {**TIMES, **{k: str(v) for k, v in READER_SETTINGS.items()}, **settings, **limits.settings(), **capped}
    if project is not None:
        every.update(project_filter(project, database))
    texts = [f"{name} = {literal(value)}" for name, value in every.items()]
    return ", ".join(texts)


def project_filter(project: str, database: str) -> dict[str, str]:
    """The setting that hides every other project's rows."""
    mine = literal("project = " + literal(project))
    return {
        "additional_table_filters": "{"
        + ", ".join(f"{literal(f'{database}.{table}')}: {mine}" for table in _WITH_PROJECT)
        + "}"
    }


def _smaller(asked: str, most: float) -> str:
    try:
        number = float(asked)
    except ValueError:
        return str(most)
    return asked if 0 < number <= most else str(most)


def _escaped(text: str) -> str:
    """A parameter's value as the engine takes it: escaped like a cell of TabSeparated."""
    for character, written in (
        ("\\", "\\\\"),
        ("\t", "\\t"),
        ("\n", "\\n"),
        ("\r", "\\r"),
        ("\0", "\\0"),
        ("'", "\\'"),
    ):
        text = text.replace(character, written)
    return text


def trailing_format(sql: str) -> str:
    """The format that a statement asks for in its last words, empty when it leaves that to the caller."""
    found = _FORMAT.search(_NO_CODE.sub(lambda part: "''" if part.group(1) else " ", sql))
    return found.group(1) if found else ""


@contextmanager
def _refusals() -> Iterator[None]:
    from chdb import ChdbError

    try:
        yield
    except (ChdbError, RuntimeError) as error:
        text = str(error)
        found = _CODE.search(text)
        raise QueryError(first_line(text), code=int(found.group(1)) if found else 0) from error
    except UnicodeDecodeError as error:
        raise QueryError("The engine refuses a value that is not valid UTF-8.", hint="Send text as UTF-8.") from error
