"""Runs SQL from outside on the embedded engine after the gate: a handle a statement, bytes in the wanted format as they come."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from ...errors import QueryError
from ..shares import ShareExhausted, Shares
from .execution import STREAMED, QueryExecution, Rejoined, Reply, engine_errors
from .external_tables import ExternalTable, examine_table, fill
from .pushdown import table_filters
from .sql_gate import Limits, Names, check_length, examine
from .statement_settings import array_search_settings, assignments, take_settings
from .syntax_tree import refused
from .tenancy import TenantViews, confine

logger = logging.getLogger(__name__)

TOO_MANY_QUERIES = 202
SLOTS, SLOTS_OF_ONE = 4, 3
# `ORDER BY format DESC` and the like end in words that name no format.
_FORMAT = re.compile(r"\bFORMAT\s+(?!(?:ASC|DESC|FINAL)\b)(\w+)\s*;?\s*$", re.IGNORECASE)
_NO_CODE = re.compile(r"""('(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*")|--[^\n]*|/\*.*?\*/""", re.DOTALL)
# How Go clients (Grafana's among them) greet a server; the name would be the machine's own.
_GREETING, _GREETED = "SELECT displayName(), version(), revision(), timezone()", "'evalspan' AS `displayName()`"


class UntrustedReader:
    """Runs statements from outside on one embedded store, as many at a time as `slots` has places."""

    def __init__(self, path: str, database: str, *, slots: Shares | None = None, wait_s: float = 10) -> None:
        self._path, self._database, self._wait_s = path, database, wait_s
        self._slots = slots or query_slots()
        self._views = TenantViews(database, engine="Memory")
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
        if sql.strip() == _GREETING:
            sql = sql.replace("displayName()", _GREETED)
        sql, own_settings = take_settings(sql)
        asked = {**(settings or {}), **own_settings}
        asked["log_comment"] = f"{self._mark} {name} {asked.get('log_comment', '')}"
        given = assignments(asked, limits, confined=project is not None)
        execution = self._execution(limits, project)
        try:
            with engine_errors(execution.hidden):
                names = Names(self._database)
                if project is not None:
                    names = names.confined(self._database_of(execution, project))
                execution.handle.query(f"USE {names.current}")
                return self._start(execution, sql, format_, dict(parameters or {}), given, tables, names)
        except BaseException:
            execution.end()
            raise

    def _execution(self, limits: Limits, project: str | None) -> QueryExecution:
        import chdb

        holder = project or ""
        try:
            self._slots.acquire(holder, timeout_s=self._wait_s)
        except ShareExhausted as error:
            raise QueryError(
                f"{error} Nothing became free within {self._wait_s:g} s.", hint=error.hint, code=TOO_MANY_QUERIES
            ) from error
        connect: Any = chdb.connect  # typed in some releases only
        try:
            handle = connect(self._path)
        except BaseException:
            self._slots.release(holder)
            raise
        return QueryExecution(handle, lambda: self._slots.release(holder), limits.result_bytes)

    def _database_of(self, execution: QueryExecution, project: str) -> str:
        def execute(statement: str) -> str:
            return bytes(execution.handle.query(statement, "TSVRaw").bytes() or b"").decode()

        database = self._views.ensure(project, execute)
        execution.hidden[database] = self._database
        return database

    def cancel(self, name: str = "") -> None:
        """Ends the statement of that name, or all of them, with ClickHouse's QUERY_WAS_CANCELLED; fine when none runs."""
        import chdb

        connect: Any = chdb.connect
        try:
            with closing(connect(self._path)) as handle, engine_errors():
                handle.query(f"KILL QUERY WHERE startsWith(Settings['log_comment'], '{self._mark} {name}') ASYNC")
        except (QueryError, RuntimeError) as error:
            logger.warning("statements run on until their time limit: %s", error)

    def _start(
        self,
        execution: QueryExecution,
        sql: str,
        format_: str,
        parameters: dict[str, str],
        given_settings: str,
        tables: Sequence[ExternalTable],
        names: Names,
    ) -> Reply:
        def engine(text: str) -> str:
            answer = bytes(execution.handle.query(text, "TSVRaw", params=parameters).bytes())
            return answer.decode(errors="replace")  # a literal may hold any bytes; such a name is on no list

        check_length(sql)
        _classify(execution.handle, sql)
        if names.tenant:
            sql = confine(sql, parameters, names.own, names.tenant)
            _classify(execution.handle, sql)
        found = examine(sql, engine, names)
        definitions = [
            examine_table(table, engine, lambda text: _classes(execution.handle, text)[0]) for table in tables
        ]
        if found.searches_arrays:
            given_settings += "".join(f", {name} = {value}" for name, value in array_search_settings().items())
        if names.tenant and (filters := table_filters(sql, found.tree, names.own, engine)):
            given_settings += f", additional_table_filters = {filters}"
        # Only now: `limit` and the like would cut the tree that was examined.
        execution.handle.query(f"SET {given_settings}")
        for table, definition in zip(tables, definitions, strict=True):
            execution.handle.query(definition)
            fill(execution.handle, table)
        # Under readonly = 1 every setting is shown as one that nobody may change, and drivers then send none.
        execution.handle.query(f"SET readonly = {2 if found.about_settings else 1}")
        chosen = found.output_format or ("" if found.selects else trailing_format(sql)) or format_
        if found.selects and chosen in STREAMED:
            chunks = execution.stream(sql, format_, parameters)
            first = next(chunks, b"")  # what fails at once fails before the answer has begun
            return Reply(chosen, Rejoined(first, chunks), execution.statistics, complete=False)
        body = execution.read_all(sql, format_, parameters)
        execution.end()
        return Reply(chosen, iter([body] if body else []), execution.statistics, complete=True)


def query_slots(total: int = SLOTS, of_one: int = SLOTS_OF_ONE) -> Shares:
    """The places for running statements; one project takes at most `of_one` of them."""
    return Shares(
        "running statements",
        total=total,
        total_setting="[limits] sql_queries",
        part=of_one,
        part_setting="[limits] sql_queries_per_project",
    )


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


def trailing_format(sql: str) -> str:
    """The format that a statement asks for in its last words, empty when it leaves that to the caller."""
    found = _FORMAT.search(_NO_CODE.sub(lambda part: "''" if part.group(1) else " ", sql))
    return found.group(1) if found else ""


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
