"""The gate for SQL from outside: one reading statement, of functions and tables on a list, on a handle of its own with limits.

`readonly` alone is no sandbox in the embedded engine: `SELECT file('/etc/passwd')` reads the file under it. So a
statement is classified, its syntax tree is held against lists of what may occur, and only then it runs, read-only.
What is not on a list is refused, so a new engine's additions stay out until they are let in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import msgspec

from ...errors import QueryError

ACCESS_DENIED = 497
LONGEST_SQL = 262_144
ENGINE_FUNCTIONS = "SELECT name FROM system.functions UNION ALL SELECT name FROM system.table_functions"


class Limits(msgspec.Struct, frozen=True):
    """What one statement from outside may use."""

    time_s: float = 30
    memory_bytes: int = 1 << 30
    result_rows: int = 1_000_000
    result_bytes: int = 256 << 20
    threads: int = 2

    def settings(self) -> dict[str, str]:
        """As ClickHouse settings."""
        return {
            "max_execution_time": str(self.time_s),
            "max_memory_usage": str(self.memory_bytes),
            "max_result_rows": str(self.result_rows),
            "max_threads": str(self.threads),
            "result_overflow_mode": "throw",
        }


class Examined(msgspec.Struct, frozen=True):
    """A statement that may run."""

    output_format: str
    """What its FORMAT clause names, or ""."""
    selects: bool
    """Whether it is a SELECT, which can be streamed."""
    about_settings: bool
    """Whether it reads system.settings alone, which drivers ask what they may set."""


_STATEMENTS = {
    "SelectWithUnionQuery", "SelectIntersectExceptQuery", "Explain", "ShowTables", "ShowColumns", "ShowIndexes",
    "ShowFunctions", "ShowCreateTableQuery", "ShowCreateDatabaseQuery", "DescribeQuery", "ExistsTableQuery",
    "ExistsDatabaseQuery",
}  # fmt: skip
_NODES = _STATEMENTS | {
    "ExpressionList", "SelectQuery", "Literal", "Identifier", "TableIdentifier", "Function", "Asterisk",
    "QualifiedAsterisk", "ColumnsRegexpMatcher", "ColumnsListMatcher", "QualifiedColumnsRegexpMatcher",
    "QualifiedColumnsListMatcher", "ColumnsTransformerList", "ColumnsExceptTransformer", "ColumnsReplaceTransformer",
    "ColumnsReplaceTransformer::Replacement", "TablesInSelectQuery", "TablesInSelectQueryElement", "TableExpression",
    "TableJoin", "ArrayJoin", "Subquery", "WithElement", "OrderByElement", "StorageOrderByElement",
    "WindowDefinition", "WindowListElement", "InterpolateElement", "SampleRatio", "DataType", "NameTypePair",
    "TupleDataType", "EnumDataType", "QueryParameter", "Set", "LimitByElement", "AliasedColumns",
}  # fmt: skip
_TABLE_FUNCTIONS = {"numbers", "numbers_mt", "zeros", "zeros_mt", "generateseries", "generate_series", "values", "null"}
_SYSTEM_TABLES = {
    "one", "numbers", "numbers_mt", "zeros", "zeros_mt", "tables", "columns", "databases", "functions", "formats",
    "settings", "data_type_families", "table_engines", "table_functions", "parts", "parts_columns", "keywords",
    "time_zones", "aggregate_function_combinators", "collations", "contributors", "licenses", "completions",
    "data_skipping_indices", "projections", "constraints",
}  # fmt: skip
_COMBINATORS = (
    "OrDefault", "OrNull", "SimpleState", "MergeState", "ForEach", "Distinct", "Resample", "ArgMin", "ArgMax", "Array",
    "State", "Merge", "Map", "If",
)  # fmt: skip
_CATALOGUES = {"information_schema", "INFORMATION_SCHEMA"}

_NODE = re.compile(r"^( *)(\S+)(?: (.*))?$")
_CHILDREN = re.compile(r" \(children (\d+)\)$")
_ALIAS = re.compile(r" \(alias (.*)\)$")


def examine(sql: str, engine: Callable[[str], str], *, own: str) -> Examined:
    """
    Refuses what may not run, and says what the rest is.

    `engine` answers a question as plain text, with the statement's parameters bound and no setting that could cut
    the answer; `own` is the database of the spans, in which unqualified tables are looked up.

    Raises:
        QueryError: code 497 with what is not allowed; or the engine's own error for SQL that cannot be read.
    """
    if len(sql) > LONGEST_SQL:
        raise refused(f"The statement is longer than {LONGEST_SQL} characters.")
    tree = complete_tree(engine(f"EXPLAIN AST {sql}"))
    if tree[0].kind not in _STATEMENTS:
        raise refused(f"{tree[0].kind} is not a statement that only reads.")
    output_format = ""
    lambdas = {node.alias for node in tree if node.kind == "Function" and node.text == "lambda"}
    for node in tree:
        if node.kind == "ColumnsApplyTransformer":
            raise refused("APPLY is not allowed: call the function on each column.")
        if node.kind not in _NODES:
            raise refused(f"{node.kind} is not allowed here.")
        if node.kind == "Function":
            _examine_function(node.text, lambdas, engine)
        elif node.kind in ("Identifier", "TableIdentifier"):
            _examine_name(node, own)
            if node.depth == 1 and node.kind == "Identifier" and tree[0].kind == "SelectWithUnionQuery":
                output_format = node.text
    tables = {node.text for node in tree if node.kind == "TableIdentifier"}
    return Examined(
        output_format=output_format,
        selects=tree[0].kind.startswith("Select"),
        about_settings=tables == {"system.settings"} and not any(node.kind == "Function" for node in tree),
    )


def refused(message: str) -> QueryError:
    """The error of everything that this gate does not let through."""
    return QueryError(
        message, hint="Only reading the store is possible here: docs/sql.md has the list.", code=ACCESS_DENIED
    )


class _Node(msgspec.Struct, frozen=True):
    depth: int
    kind: str
    text: str
    alias: str
    children: int


def complete_tree(text: str) -> list[_Node]:
    """The nodes of what EXPLAIN AST printed. Raises QueryError when it is not a whole tree."""
    tree = list(_nodes(text))
    if not _complete(tree):
        raise refused("The statement's syntax tree cannot be read: more than one FORMAT clause?")
    return tree


def _nodes(tree: str) -> Iterator[_Node]:
    for line in tree.splitlines():
        found = _NODE.match(line)
        if found:
            text = f" {found.group(3) or ''}"
            children = _CHILDREN.search(text)
            text = text[: children.start()] if children else text
            alias = _ALIAS.search(text)
            yield _Node(
                depth=len(found.group(1)),
                kind=found.group(2),
                text=(text[: alias.start()] if alias else text).strip(),
                alias=alias.group(1) if alias else "",
                children=int(children.group(1)) if children else 0,
            )


def _complete(tree: list[_Node]) -> bool:
    """Whether every node has as many children as it says: a cut or reformatted tree shows nothing reliable."""
    if not tree or tree[0].depth != 0:
        return False
    missing: list[int] = []  # children still to come, by depth
    for node in tree:
        if node.depth > len(missing):
            return False
        if any(missing[node.depth :]):
            return False
        del missing[node.depth :]
        if missing:
            missing[-1] -= 1
            if missing[-1] < 0:
                return False
        elif node is not tree[0]:
            return False
        missing.append(node.children)
    return not any(missing)


def _examine_function(name: str, lambdas: set[str], engine: Callable[[str], str]) -> None:
    bases = {base.lower() for base in _without_combinators(name)}
    if bases & _functions() or name.lower() in _TABLE_FUNCTIONS:
        return
    # A lambda of the statement's own, `x -> ... AS name`, unless the name also means something to the engine:
    # it would still mean that where the lambda is out of sight.
    if name in lambdas and not bases & _engine_functions(engine):
        return
    raise refused(f"The function {name} is not allowed.")


def _without_combinators(name: str) -> Iterator[str]:
    yield name
    while suffix := next((suffix for suffix in _COMBINATORS if name.endswith(suffix)), ""):
        name = name[: -len(suffix)]
        yield name


def _engine_functions(engine: Callable[[str], str]) -> frozenset[str]:
    return frozenset(engine(ENGINE_FUNCTIONS).lower().split())


def _examine_name(node: _Node, own: str) -> None:
    first, dot, rest = node.text.partition(".")
    if not dot:
        return
    if first == "system" and rest.partition(".")[0] not in _SYSTEM_TABLES:
        raise refused(f"The table {node.text} is not allowed.")
    if node.kind == "TableIdentifier" and first not in {own, "default", "system", *_CATALOGUES}:
        raise refused(f"There is no access to the database {first}.")


@cache
def _functions() -> frozenset[str]:
    text = (Path(__file__).parents[1] / "schema" / "functions.txt").read_text()
    names = (name for line in text.splitlines() if not line.startswith("#") for name in line.split())
    return frozenset(name.lower() for name in names)
