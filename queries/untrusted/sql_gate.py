"""The gate for SQL from outside: one reading statement, of functions and tables on a list, on a handle of its own with limits.

`readonly` alone is no sandbox in the embedded engine: `SELECT file('/etc/passwd')` reads the file under it. So a
statement is classified, its syntax tree is held against lists of what may occur, and only then it runs, read-only.
What is not on a list is refused, so a new engine's additions stay out until they are let in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import msgspec

from .statement_size import check_size
from .syntax_tree import Node, complete_tree, refused
from .tenancy import CATALOGUE, PREFIX

MAX_SQL = 262_144
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


class Names(msgspec.Struct, frozen=True):
    """What a statement may name: everything of the store, or what one project's key may."""

    own: str
    """The database of the tables."""
    tenant: str = ""
    """The database of one project's views, "" for a reader who may see all projects."""

    def confined(self, tenant: str) -> Names:
        """The names of a project's key."""
        return Names(self.own, tenant)

    @property
    def current(self) -> str:
        """The database in which unqualified tables are looked up."""
        return self.tenant or self.own

    def refusal(self, name: str, *, is_table: bool) -> str:
        """Why a dotted name is not allowed, "" when it is. A column's name may begin like a database's."""
        database, _, table = name.partition(".")
        if self.tenant:
            if database in (self.tenant, CATALOGUE):
                return ""
            if database == self.own or database.startswith(PREFIX):
                return f"There is no access to {name}."
        if database == "system" and table.partition(".")[0] not in (_KEY_SYSTEM if self.tenant else _SYSTEM_TABLES):
            return f"The table {name} is not allowed."
        if database in _CATALOGUES and self.tenant and table.partition(".")[0].lower() not in _KEY_CATALOGUE:
            return f"The table {name} is not allowed."
        if is_table and database not in {self.own, "default", "system", *_CATALOGUES}:
            return f"There is no access to the database {database}."
        return ""


class Examined(msgspec.Struct, frozen=True):
    """A statement that may run."""

    output_format: str
    """What its FORMAT clause names, or ""."""
    selects: bool
    """Whether it is a SELECT, which can be streamed."""
    about_settings: bool
    """Whether it reads system.settings alone, which drivers ask what they may set."""
    searches_arrays: bool
    """Whether a function of it may go through an array for every row: then blocks of rows have to be small."""
    tree: list[Node]


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
# What tells nothing about the other projects; tables, columns and databases come from the catalogue (tenancy.py).
_KEY_SYSTEM = _SYSTEM_TABLES - {
    "tables", "columns", "databases", "parts", "parts_columns", "data_skipping_indices", "projections", "completions",
}  # fmt: skip
_KEY_CATALOGUE = {"character_sets", "collations", "engines", "key_column_usage", "referential_constraints"}
# EXPLAIN with options, or ESTIMATE, shows parts and marks of the whole table.
_KEY_EXPLAIN = {"EXPLAIN", "EXPLAIN AST", "EXPLAIN SYNTAX", "EXPLAIN QUERY TREE", "EXPLAIN PIPELINE"}
_COMBINATORS = (
    "OrDefault", "OrNull", "SimpleState", "MergeState", "ForEach", "Distinct", "Resample", "ArgMin", "ArgMax", "Array",
    "State", "Merge", "Map", "If",
)  # fmt: skip
# Through the whole array for each row, also where the array is the same for all of them.
_ARRAY_SEARCHES = {
    "lambda", "has", "hasany", "hasall", "hassubstr", "indexof", "indexofassumesorted", "countequal", "arrayintersect",
    "arraysymmetricdifference", "arrayunion", "arrayconcat", "arraydotproduct", "mapcontains",
}  # fmt: skip
_CATALOGUES = {"information_schema", "INFORMATION_SCHEMA"}


def check_length(sql: str) -> None:
    """Raises QueryError for a statement that is too long to be looked at."""
    if len(sql) > MAX_SQL:
        raise refused(f"The statement is longer than {MAX_SQL} characters.")


def examine(sql: str, engine: Callable[[str], str], names: Names) -> Examined:
    """
    Refuses what may not run, and says what the rest is.

    `engine` answers a question as plain text, with the statement's parameters bound and no setting that could cut
    the answer.

    Raises:
        QueryError: code 497 with what is not allowed; or the engine's own error for SQL that cannot be read.
    """
    check_length(sql)
    tree = complete_tree(engine(f"EXPLAIN AST {sql}"))
    if tree[0].kind not in _STATEMENTS:
        raise refused(f"{tree[0].kind} is not a statement that only reads.")
    check_size(sql, tree)
    lambdas = {node.alias for node in tree if node.kind == "Function" and node.text == "lambda"}
    for place, node in enumerate(tree):
        if node.kind == "ColumnsApplyTransformer":
            raise refused("APPLY is not allowed: call the function on each column.")
        if node.kind not in _NODES:
            raise refused(f"{node.kind} is not allowed here.")
        if node.kind == "Function":
            _examine_function(node.text, lambdas, engine)
        elif node.kind in ("Identifier", "TableIdentifier") and "." in node.text:
            if refusal := names.refusal(node.text, is_table=node.kind == "TableIdentifier"):
                raise refused(refusal)
        elif (
            node.kind == "Explain" and names.tenant and (node.text not in _KEY_EXPLAIN or tree[place + 1].kind == "Set")
        ):
            raise refused("EXPLAIN with options shows the whole table, of which a key sees a part: leave them out.")
        elif node.kind == "Set" and names.tenant:  # those at the end were taken off and looked at before
            raise refused("SETTINGS stand once, at the end of a statement: NAME = VALUE, no maps.")
    tables = {node.text for node in tree if node.kind == "TableIdentifier"}
    return Examined(
        output_format=_output_format(tree),
        selects=tree[0].kind.startswith("Select"),
        about_settings=tables == {"system.settings"} and not any(node.kind == "Function" for node in tree),
        searches_arrays=any(node.kind == "Function" and node.text.lower() in _ARRAY_SEARCHES for node in tree),
        tree=tree,
    )


def _output_format(tree: list[Node]) -> str:
    named = [node.text for node in tree if node.depth == 1 and node.kind == "Identifier"]
    return named[-1] if named and tree[0].kind == "SelectWithUnionQuery" else ""


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


@cache
def _functions() -> frozenset[str]:
    text = (Path(__file__).parents[1] / "schema" / "functions.txt").read_text(encoding="utf-8")
    names = (name for line in text.splitlines() if not line.startswith("#") for name in line.split())
    return frozenset(name.lower() for name in names)
