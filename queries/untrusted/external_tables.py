"""Tables that a client sends along with its statement: described, filled and gone again with the statement's own handle."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from ...errors import QueryError
from .syntax_tree import complete_tree, refused

BAD_ARGUMENTS = 36
MAX_TABLES = 16
_NAME = re.compile(r"[A-Za-z_]\w{0,127}")
# A definition of plain columns and nothing else: no defaults, which are expressions, no engine, no constraints.
_NODES = {
    "CreateQuery", "Identifier", "Columns", "ExpressionList", "ColumnDeclaration", "DataType", "TupleDataType",
    "EnumDataType", "NameTypePair", "Literal",
}  # fmt: skip


class ExternalTable(msgspec.Struct, frozen=True):
    """One table as ClickHouse's HTTP protocol has it: `structure` is `a String, b UInt8`."""

    name: str
    structure: str
    format: str
    data: bytes


def structure_of(name: str, structure: str, types: str) -> str:
    """
    The columns of an external table: as given, or from its types alone, named _1, _2 and so on.

    Raises:
        QueryError: neither is given.
    """
    if structure.strip():
        return structure
    if not types.strip():
        raise QueryError(
            f"The external table {name} has no columns.",
            hint=f"Send {name}_structure or {name}_types.",
            code=BAD_ARGUMENTS,
        )
    return ", ".join(f"_{number} {kind}" for number, kind in enumerate(_split(types), 1))


def examine_table(table: ExternalTable, engine: Callable[[str], str], count: Callable[[str], int]) -> str:
    """
    The statement that creates the table. `engine` answers a question as plain text, `count` counts statements.

    Raises:
        QueryError: the name is none, or the structure holds more than columns and their types.
    """
    if not _NAME.fullmatch(table.name) or not re.fullmatch(r"\w{1,64}", table.format):
        raise QueryError(f"{table.name!r} in format {table.format!r} cannot be an external table.", code=BAD_ARGUMENTS)
    statement = f"CREATE TEMPORARY TABLE {table.name} ({table.structure})"
    if count(statement) != 1:
        raise refused(f"The external table {table.name} may have columns with types and nothing else.")
    tree = complete_tree(engine(f"EXPLAIN AST {statement}"))
    strange = next((node.kind for node in tree if node.kind not in _NODES), None)
    definition = [node.kind for node in tree if node.depth <= 1]
    if strange or definition != ["CreateQuery", "Identifier", "Columns"]:
        raise refused(f"The external table {table.name} may have columns with types and nothing else.")
    return statement


def fill(handle: Any, table: ExternalTable) -> None:
    """Puts the data into the table that has just been created on the handle."""
    with handle.send_insert(f"INSERT INTO {table.name}", table.format) as insert:
        insert.append(table.data)
        insert.finish()


def _split(types: str) -> list[str]:
    found, depth = [""], 0
    for character in types:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return [kind.strip() for kind in found]
