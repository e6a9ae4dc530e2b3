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

UNKNOWN_FUNCTION, UNKNOWN_IDENTIFIER, UNKNOWN_TABLE, SYNTAX_ERROR = 46, 47, 60, 62
_STOPPED_AT = re.compile(
    r"failed at position (?P<position>\d+) \((?P<token>.*?)\)(?: \(line \d+, col \d+\))?: ", re.DOTALL
)
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
    """The same error, with the place marked and the nearest known name, when it is about an unknown name or keyword."""
    if error.code == SYNTAX_ERROR:
        return _syntax(error, sql)
    if "This is not one statement that only reads" in str(error) and (word := _keyword_meant(sql, sql.strip()[:40])):
        return QueryError(str(error), hint=f"Did you mean {word[1]}? It says {word[0]}.", code=error.code)
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


def _syntax(error: QueryError, sql: str) -> QueryError:
    """A syntax error in a line: what the parser stopped at, and the keyword that was meant where a word is near one."""
    found = _STOPPED_AT.search(str(error))
    if found is None:
        return error
    before = sql[: max(int(found["position"]) - 1, 0)]
    message = f"Syntax error at position {found['position']}, `{' '.join(found['token'].split())[:80]}`"
    if "never closed" in str(error):
        message += ": a parenthesis is never closed"
    at = re.match(r"\w+", sql[len(before) :])
    meant = _keyword_meant(sql, before.split()[-1] if before.split() else "") or (at and _keyword_meant(sql, at[0]))
    return QueryError(
        f"{message}.", hint=f"Did you mean {meant[1]}? It says {meant[0]}." if meant else error.hint, code=error.code
    )


def _keyword_meant(sql: str, text: str) -> tuple[str, str] | None:
    """A word of the text that is no keyword but nearly one, and that keyword."""
    for word in re.findall(r"\b[A-Za-z]{3,}\b", text)[:1]:
        near = nearest(word.upper(), _KEYWORDS, cutoff=0.75)
        if near and near != word.upper() and not re.search(rf"[`\"]{re.escape(word)}[`\"]", sql):
            return word, near
    return None


def _marked(sql: str, name: str) -> str:
    for line in sql.splitlines():
        place = re.search(rf"\b{re.escape(name)}\b", line)
        if place:
            return f"  {line}\n  {' ' * place.start()}{'^' * len(name)}"
    return f"  {' '.join(sql.split())[:200]}"
