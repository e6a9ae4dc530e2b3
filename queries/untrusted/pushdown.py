"""Which conditions of a key's statement may also be applied below its views, where they spare reading: `column op constant` alone.

A view of `tenancy.py` lets no condition of the statement pass, so that nothing of it is evaluated on another project's row;
then each statement reads the columns that it names for all rows of its project. A time that the statement asks for is
given to the engine a second time, as a condition on the table itself. That condition is not the statement's text: it is
made here, of a column of the table, one of six comparisons and constants, and comparing a column with a constant of its
kind cannot fail on any row. The statement's own condition stays where it is and decides; this one only has to let
through at least as much.

Only some columns: times, what a table is sorted by, and random ids. An index on anything else, users for example, could
tell by the number of rows read whether another project's rows beside have a guessed value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum, auto

import msgspec

from ..literals import literal
from .syntax_tree import Node
from .tokens import quoted, tokenize


class Kind(Enum):
    """What a column holds."""

    TIME = auto()
    TEXT = auto()


COLUMNS: Mapping[str, Mapping[str, Kind]] = {
    "spans": {
        "start_time": Kind.TIME, "ingested_at": Kind.TIME, "inserted_at": Kind.TIME, "trace_id": Kind.TEXT,
        "span_id": Kind.TEXT,
    },
    "evaluations": {"name": Kind.TEXT, "span_time": Kind.TIME, "trace_id": Kind.TEXT},
    "examples": {"dataset": Kind.TEXT, "example_id": Kind.TEXT},
    "experiments": {"experiment_id": Kind.TEXT},
    "experiment_results": {"experiment_id": Kind.TEXT, "example_id": Kind.TEXT},
    "alerts": {"rule_id": Kind.TEXT, "alert_id": Kind.TEXT},
}  # fmt: skip
# Views over those tables: what is asked of the table would be asked of them, too.
_VIEWS = {"usage"}
Engine = Callable[[str], str]
"""Answers a statement as plain text."""

_OPERATORS = {
    "equals": "=", "less": "<", "greater": ">", "lessOrEquals": "<=", "greaterOrEquals": ">=", "in": "IN",
}  # fmt: skip
_TURNED = {
    "equals": "equals", "less": "greater", "greater": "less", "lessOrEquals": "greaterOrEquals",
    "greaterOrEquals": "lessOrEquals",
}  # fmt: skip
# Where one of these words stands, the syntax tree does not say which condition is the WHERE.
_OTHER_CONDITIONS = {"HAVING", "QUALIFY", "PREWHERE"}
_TEXT = re.compile(r"'(?:[^'\\]|\\.)*'")
_NUMBER = re.compile(r"(?:U?Int64|Float64)_(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)")
_ELEMENT = re.compile(rf"\s*({_TEXT.pattern})\s*(?:,|$)")
# Functions whose value grows with time, of what may stand inside them.
_PRESENT = {"now", "now64", "today", "yesterday"}
_INTERVALS = {f"toInterval{unit}" for unit in ("Second", "Minute", "Hour", "Day", "Week", "Month", "Quarter", "Year")}
_CONVERSIONS = {
    "toDateTime", "toDateTime64", "toDate", "parseDateTimeBestEffort", "parseDateTime64BestEffort", "CAST", "_CAST",
    *(f"toStartOf{unit}" for unit in ("Minute", "FiveMinutes", "FifteenMinutes", "Hour", "Day", "Week", "Month", "Year")),
}  # fmt: skip
# Nanoseconds since 1970 reach a little further.
_MOMENT = re.compile(r"(19[789]\d|2[01]\d\d|22[0-4]\d)-[\d: .-]+")
_CAST_TARGETS = re.compile(r"'(Date|Date32|DateTime(64\(\d\))?(\(\d, )?)[^']*'")


class _Constant(msgspec.Struct, frozen=True):
    """A constant expression, written anew; whether it depends on the present, and whether its time zone is certain."""

    sql: str
    is_present: bool
    is_instant: bool


class _Select(msgspec.Struct, frozen=True):
    table: str
    names: frozenset[str]
    """What may stand before a column's name and a dot."""
    condition: int
    """The place of its WHERE in the tree."""


def table_filters(sql: str, tree: list[Node], database: str, engine: Engine) -> str:
    """The conditions as ClickHouse's setting `additional_table_filters` has them, "" when there are none."""
    pushed = pushed_conditions(sql, tree, engine)
    pairs = (f"{literal(f'{database}.{table}')}: {literal(condition)}" for table, condition in pushed.items())
    return f"{{{', '.join(pairs)}}}" if pushed else ""


def pushed_conditions(sql: str, tree: list[Node], engine: Engine) -> dict[str, str]:
    """For each table that the statement reads once, what may be asked of the table itself; at least as much passes."""
    if any(token.name.upper() in _OTHER_CONDITIONS for token in tokenize(sql)):
        return {}
    read = [node.text.rpartition(".")[2] for node in tree if node.kind in ("TableIdentifier", "Identifier")]
    if any(name in _VIEWS for name in read):
        return {}
    aliases = {node.alias for node in tree}
    found: dict[str, str] = {}
    for select in _selects(tree):
        if read.count(select.table) == 1:
            columns = {name: kind for name, kind in COLUMNS.get(select.table, {}).items() if name not in aliases}
            conditions = list(_conditions(tree, select, columns, engine))
            if conditions:
                found[select.table] = " AND ".join(conditions)
    return found


def _children(tree: list[Node], place: int) -> list[int]:
    depth, found = tree[place].depth, []
    for at in range(place + 1, len(tree)):
        if tree[at].depth <= depth:
            break
        if tree[at].depth == depth + 1:
            found.append(at)
    return found


def _selects(tree: list[Node]) -> Iterator[_Select]:
    """The SELECTs that read one table and nothing else, and have a condition."""
    for place, node in enumerate(tree):
        if node.kind != "SelectQuery":
            continue
        parts = _children(tree, place)
        at = next((at for at, part in enumerate(parts) if tree[part].kind == "TablesInSelectQuery"), None)
        if at is None or at + 1 >= len(parts) or tree[parts[at + 1]].kind != "Function":
            continue
        inside = [tree[each] for each in range(parts[at], parts[at + 1])]
        kinds = [each.kind for each in inside]
        if kinds == ["TablesInSelectQuery", "TablesInSelectQueryElement", "TableExpression", "TableIdentifier"]:
            name = inside[-1].text
            table = name.rpartition(".")[2]
            yield _Select(table, frozenset({inside[-1].alias or table, name}), parts[at + 1])


def _conditions(tree: list[Node], select: _Select, columns: Mapping[str, Kind], engine: Engine) -> Iterator[str]:
    for place in _conjuncts(tree, select.condition):
        operator, sides = tree[place].text, _arguments(tree, place)
        if operator not in _OPERATORS or len(sides) != 2:
            continue
        left, right = sides
        if tree[left].kind != "Identifier" and operator in _TURNED:
            left, right, operator = right, left, _TURNED[operator]
        column = _column(tree[left], select, columns)
        if not column:
            continue
        if value := _value(tree, right, operator, columns[column], engine):
            yield f"{quoted(column)} {_OPERATORS[operator]} {value}"


def _conjuncts(tree: list[Node], place: int) -> Iterator[int]:
    if tree[place].kind == "Function" and tree[place].text == "and":
        for each in _arguments(tree, place):
            yield from _conjuncts(tree, each)
    elif tree[place].kind == "Function":
        yield place


def _arguments(tree: list[Node], place: int) -> list[int]:
    lists = _children(tree, place)
    return _children(tree, lists[0]) if len(lists) == 1 else []


def _column(node: Node, select: _Select, columns: Mapping[str, Kind]) -> str:
    if node.kind != "Identifier" or node.alias:
        return ""
    qualifier, _, name = node.text.rpartition(".")
    return name if name in columns and (not qualifier or qualifier in select.names) else ""


def _value(tree: list[Node], place: int, operator: str, kind: Kind, engine: Engine) -> str:
    """The constant of that kind as SQL, "" when it is none that compares with the column whatever a row holds."""
    node = tree[place]
    if node.kind == "Literal":
        if operator == "in":
            return _list(node.text) if kind is Kind.TEXT else ""
        return node.text if _TEXT.fullmatch(node.text) else ""
    if kind is not Kind.TIME or operator in ("equals", "in"):
        return ""
    constant = _constant(tree, place)
    return _moment(constant, operator, engine) if constant else ""


def _list(text: str) -> str:
    if not (text.startswith("Tuple_(") and text.endswith(")")):
        return ""
    inside, at, values = text[7:-1], 0, []
    while at < len(inside):
        element = _ELEMENT.match(inside, at)
        if not element:
            return ""
        values.append(element[1])
        at = element.end()
    return f"({', '.join(values)})" if values else ""


def _constant(tree: list[Node], place: int) -> _Constant | None:
    """A moment made of literals and functions that grow with time; None for anything else."""
    node, inner = tree[place], _arguments(tree, place)
    if node.kind == "Literal":
        number = _NUMBER.fullmatch(node.text)
        if number or _TEXT.fullmatch(node.text):
            return _Constant(number[1] if number else node.text, is_present=False, is_instant=bool(number))
        return None
    if node.kind != "Function":
        return None
    if node.text in ("minus", "plus") and len(inner) == 2 and tree[inner[1]].text in _INTERVALS:
        moment, interval = _constant(tree, inner[0]), _call(tree, inner[1])
        if moment is None or interval is None:
            return None
        sign = "-" if node.text == "minus" else "+"
        return _Constant(f"({moment.sql} {sign} {interval.sql})", moment.is_present, moment.is_instant)
    if node.text in _PRESENT | _CONVERSIONS:
        return _call(tree, place)
    return None


def _call(tree: list[Node], place: int) -> _Constant | None:
    name, inner = tree[place].text, _arguments(tree, place)
    given = [_constant(tree, each) for each in inner]
    if any(each is None for each in given):
        return None
    known = [each for each in given if each is not None]
    if name in ("CAST", "_CAST"):
        if len(known) != 2 or not _CAST_TARGETS.fullmatch(known[1].sql):
            return None
        name = "CAST"
    elif any(tree[each].kind != "Literal" for each in inner[1:]):
        return None
    is_present = name in _PRESENT or any(each.is_present for each in known)
    is_instant = name in ("now", "now64") or (name == "CAST" and known[0].is_instant)
    return _Constant(f"{name}({', '.join(each.sql for each in known)})", is_present, is_instant)


def _moment(constant: _Constant, operator: str, engine: Engine) -> str:
    """
    The moment as a literal, evaluated now and by itself, before the statement is.

    Time goes on until the statement runs: a bound from below in the present is then later than this one, so this lets
    more through; one from above would not. A day is added where the time zone may be another one.
    """
    is_lower = operator in ("greater", "greaterOrEquals")
    if constant.is_present and not is_lower:
        return ""
    if constant.is_instant:
        slack = "" if is_lower else " + INTERVAL 1 SECOND"  # milliseconds are cut off
    else:
        slack = f" {'-' if is_lower else '+'} INTERVAL 1 DAY"
    try:
        said = engine(f"SELECT toString(toDateTime64({constant.sql}, 3, 'UTC'){slack})").strip()
    except Exception:  # noqa: BLE001 - the statement itself says what is wrong with it
        return ""
    return f"'{said}'" if _MOMENT.fullmatch(said) else ""
