"""The named queries: each file of sql/ read into its title, parameters, columns and text; used by the terminal, the dashboard, alerts and docs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from .store.client import Result
    from .store.protocol import StoreClient

FOLDER = Path(__file__).parent / "sql"

_FIELD = re.compile(r"^-- (title|answers|method|source|param|column)(?::| )\s*(.*)$")
_MORE = re.compile(r"^--\s{2,}(\S.*)$")
_PARAMETER = re.compile(r"^(\w+) (.+?) = (.*?) -- (.+)$")
_REQUIRED = re.compile(r"^(\w+) (\S+) -- (.+)$")
_COLUMN = re.compile(r"^(.+?) -- (.+)$")
_OPTIONAL = re.compile(r" *-- if (\w+)$")
_INCLUDE = re.compile(r"^( *)-- include (\w+)$")
_SLOT = re.compile(r"^ *-- slot (\w+)$")
_UNSET = ("", 0, "0", 0.0, (), None)


class Parameter(msgspec.Struct, frozen=True):
    """One parameter: its ClickHouse type and, unless it is required, its default as text."""

    name: str
    type: str
    about: str
    default: str | None = None


class Column(msgspec.Struct, frozen=True):
    """One column of the answer."""

    name: str
    about: str


class Query(msgspec.Struct, frozen=True):
    """A named query, as its file says."""

    name: str
    title: str
    answers: str
    sql: str
    parameters: list[Parameter] = []
    columns: list[Column] = []
    method: str = ""
    source: str = ""

    def run(self, store: StoreClient, /, *, timeout_s: float = 30, **parameters: Any) -> Result:
        """
        Runs on a store; parameters left out take the file's defaults.

        Raises:
            UsageError: a parameter is unknown, missing, or not of its type.
            QueryError: ClickHouse refuses it, or it takes longer than `timeout_s` seconds.
        """
        bound = self.bound(parameters)
        return store.query(self.statement(bound), bound, timeout_s=timeout_s)

    def statement(self, bound: Mapping[str, Any], slots: Mapping[str, str] | None = None) -> str:
        """
        The text that is sent: a line that ends in `-- if NAME` is left out while that parameter is empty or 0.

        A line `-- slot NAME` is replaced by that text of `slots`, or left out. ClickHouse plans every condition that
        a statement holds, so one that asks nothing would still cost time.
        """
        lines = []
        for line in self.sql.splitlines():
            slot = _SLOT.match(line)
            lines += (slots or {}).get(slot[1], "").splitlines() if slot else [line]
        kept = []
        for line in lines:
            optional = _OPTIONAL.search(line)
            if optional is None:
                kept.append(line)
            elif bound.get(optional[1]) not in _UNSET:
                kept.append(line[: optional.start()])
        return "\n".join(kept)

    def bound(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters with defaults filled in. Raises UsageError for unknown or missing ones."""
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                raise UsageError(f"The query {self.name} has no parameter {name!r}.", hint=did_you_mean(name, known))
        values = {}
        for parameter in self.parameters:
            if parameter.name in given:
                values[parameter.name] = given[parameter.name]
            elif parameter.default is not None:
                values[parameter.name] = parameter.default
            else:
                raise UsageError(
                    f"The query {self.name} needs {parameter.name}: {parameter.about}.",
                    hint=f"evalspan queries run {self.name} {parameter.name}=...",
                )
        return values


def names() -> list[str]:
    """The names of all queries, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.sql"))


def page_names() -> list[str]:
    """The names of the dashboard's own queries, such as `pages/traces`: behind a page, not in the library."""
    return sorted(f"pages/{path.stem}" for path in FOLDER.glob("pages/*.sql"))


def get(name: str) -> Query:
    """The query of that name. Raises UsageError when there is none."""
    return _read(name)


@cache
def _read(name: str) -> Query:
    known = page_names() if name.startswith("pages/") else names()
    if name not in known:
        raise UsageError(f"There is no query named {name!r}.", hint=did_you_mean(name, known))
    return parse(name, (FOLDER / f"{name}.sql").read_text(encoding="utf-8"))


def parse(name: str, text: str) -> Query:
    """Reads a file's text. Raises ValueError, naming the line, for a header that is not one."""
    fields: dict[str, list[str]] = {}
    lines = text.splitlines()
    body_at = next((number for number, line in enumerate(lines) if not line.startswith("--")), len(lines))
    last: list[str] | None = None
    for line in lines[:body_at]:
        if found := _FIELD.match(line):
            last = fields.setdefault(found.group(1), [])
            last.append(found.group(2).strip())
        elif (more := _MORE.match(line)) and last:
            last[-1] = f"{last[-1]} {more.group(1)}"
        else:
            raise ValueError(f"{name}.sql: this is not a header line: {line!r}")
    one = {key: " ".join(fields.get(key, [])) for key in ("title", "answers", "method", "source")}
    return Query(
        name=name,
        sql="\n".join(_with_parts(lines[body_at:])).strip().removesuffix(";"),
        parameters=[_parameter(name, line) for line in fields.get("param", [])],
        columns=[_column(name, line) for line in fields.get("column", [])],
        **one,
    )


def _with_parts(lines: Iterable[str]) -> Iterator[str]:
    """The lines, each `-- include NAME` replaced by what several queries share: parts/NAME.sql, after its first line."""
    for line in lines:
        if found := _INCLUDE.match(line):
            indent, part = found.groups()
            yield from (indent + shared for shared in _part(part))
        else:
            yield line


@cache
def _part(name: str) -> list[str]:
    return (FOLDER / "parts" / f"{name}.sql").read_text(encoding="utf-8").splitlines()[1:]


def _parameter(query: str, line: str) -> Parameter:
    if found := _PARAMETER.match(line):
        name, kind, default, about = found.groups()
        return Parameter(name=name, type=kind, about=about, default="" if default in ("''", '""') else default)
    if found := _REQUIRED.match(line):
        return Parameter(name=found.group(1), type=found.group(2), about=found.group(3))
    raise ValueError(f"{query}.sql: this is not a parameter: {line!r}")


def _column(query: str, line: str) -> Column:
    found = _COLUMN.match(line)
    if not found:
        raise ValueError(f"{query}.sql: this is not a column: {line!r}")
    return Column(name=found.group(1), about=found.group(2))
