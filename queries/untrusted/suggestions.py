"""What somebody meant: the nearest table, column or function to a name that ClickHouse does not know, with the place in the SQL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from ...errors import QueryError, nearest
from ..store.config import DATABASE
from .syntax_tree import ACCESS_DENIED

if TYPE_CHECKING:
    from ..store.protocol import StoreClient

UNKNOWN_FUNCTION, UNKNOWN_IDENTIFIER, UNKNOWN_TABLE = 46, 47, 60
_UNKNOWN = re.compile(r"(?:identifier|[Ff]unction with name|expression identifier|column)\s+[`'](?P<name>[^`']+)[`']")
_NOT_ALLOWED = re.compile(r"The function (?P<name>\S+) is not allowed")
_KEYWORDS = (
    "SELECT FROM WHERE GROUP BY ORDER LIMIT HAVING WITH AS AND OR NOT IN LIKE ILIKE BETWEEN IS NULL JOIN LEFT USING ON"
    " DESC ASC DISTINCT UNION ALL CASE WHEN THEN ELSE END INTERVAL FORMAT SHOW TABLES DESCRIBE EXPLAIN"
).split()


class Vocabulary(msgspec.Struct, frozen=True):
    """The names that a statement may use."""

    tables: dict[str, dict[str, str]]  # table -> column -> type
    functions: list[str]

    @property
    def columns(self) -> list[str]:
        """The columns of all tables, once each."""
        return sorted({column for columns in self.tables.values() for column in columns})

    def words(self) -> list[str]:
        """Everything that can be completed."""
        return [*self.tables, *self.columns, *_KEYWORDS, *self.functions]


def vocabulary(store: StoreClient) -> Vocabulary:
    """Asks the store for its tables, columns and functions."""
    tables: dict[str, dict[str, str]] = {}
    found = store.query(
        "SELECT table, name, type FROM system.columns WHERE database = {database:String} ORDER BY table, position",
        {"database": DATABASE if store.location.database == "" else store.location.database},
    )
    for table, name, kind in found.rows:
        if not table.startswith(("otlp_", ".inner", "migrations")):
            tables.setdefault(table, {})[name] = kind
    functions = store.query("SELECT name FROM system.functions ORDER BY name").rows
    return Vocabulary(tables=tables, functions=[row[0] for row in functions])


def with_suggestion(error: QueryError, sql: str, store: StoreClient) -> QueryError:
    """The same error, with the place marked and the nearest known name, when it is about an unknown name."""
    found = _UNKNOWN.search(str(error)) or _NOT_ALLOWED.search(str(error))
    if error.code not in (UNKNOWN_FUNCTION, UNKNOWN_IDENTIFIER, UNKNOWN_TABLE, ACCESS_DENIED) or not found:
        return error
    known = vocabulary(store)
    name = found.group("name").rpartition(".")[2]
    if error.code == ACCESS_DENIED and name.lower() in {function.lower() for function in known.functions}:
        return error
    if error.code == UNKNOWN_TABLE:
        kind, candidates, all_ = "table", list(known.tables), f"Tables: {', '.join(sorted(known.tables))}."
    elif error.code in (UNKNOWN_FUNCTION, ACCESS_DENIED):
        kind, candidates, all_ = "function", known.functions, "docs/sql.md names the ones used most."
    else:
        mentioned = [table for table in known.tables if re.search(rf"\b{table}\b", sql)] or ["spans"]
        candidates = [column for table in mentioned for column in known.tables.get(table, {})]
        kind, all_ = "column", f"`\\d {mentioned[0]}` at the prompt, or DESCRIBE TABLE {mentioned[0]}, lists them."
    near = nearest(name, candidates, cutoff=0.55)
    hint = f"Did you mean `{near}`? {all_}" if near else all_
    return QueryError(f"There is no {kind} `{name}`.\n{_marked(sql, name)}", hint=hint, code=error.code)


def _marked(sql: str, name: str) -> str:
    for line in sql.splitlines():
        place = re.search(rf"\b{re.escape(name)}\b", line)
        if place:
            return f"  {line}\n  {' ' * place.start()}{'^' * len(name)}"
    return f"  {' '.join(sql.split())[:200]}"
