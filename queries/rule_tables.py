"""Arrays of tables in evalspan.toml, such as [[alerts.rules]]: each table is read by itself, so that a bad one stops no other."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..errors import ConfigError, EvalspanError, did_you_mean
from .setting_checks import choice_hint, is_missing, refusals

Kind = TypeVar("Kind", bound=msgspec.Struct)
Made = TypeVar("Made")


class RuleProblem(msgspec.Struct, frozen=True):
    """Why a rule or sink is off, where it is written, and what to do."""

    name: str
    where: str
    reason: str
    hint: str = ""
    noun: str = ""
    """What it is, where the name alone does not say so."""

    @property
    def what(self) -> str:
        """What is off, why, and what to do."""
        off = f"{self.noun} {self.name!r}".lstrip()
        return f"{off} is off: {self.reason}" + (f" ({self.hint})" if self.hint else "")

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def read_tables(
    kind: type[Kind],
    raw: Sequence[dict[str, Any]],
    table: str,
    path: Path | None,
    *,
    prepare: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    make: Callable[[Kind, int], Made],
    made_from: str = "name",
    noun: str = "",
) -> tuple[list[Made], list[RuleProblem]]:
    """What `make` makes of each table that is a `kind` with a name of its own, and a problem for every other one.

    `table` is the dotted name (`alerts.rules`), `path` the file it was written in; `make` gets the struct and its number, and
    when it refuses one, the key `made_from` is shown. `noun` says in a problem what the table is.
    """
    made: list[Made] = []
    problems: list[RuleProblem] = []
    names: set[str] = set()
    for index, values in enumerate(raw):
        one, found = _read(kind, values, prepare)
        name = str(values.get("name", f"number {index + 1}"))
        if name in names:
            found.append(("name", ConfigError("another one has this name", hint="give it a name of its own")))
        if one is not None and not found:
            try:
                made.append(make(one, index))
            except (EvalspanError, msgspec.ValidationError) as error:
                found.append((_key_of(error) or made_from, error))
        names.add(name)
        for key, reason in found:
            where = source_location(path, table, index, key)
            problems.append(RuleProblem(name, where, str(reason), getattr(reason, "hint", ""), noun))
    return made, problems


def _read(
    kind: type[Kind], values: dict[str, Any], prepare: Callable[[dict[str, Any]], dict[str, Any]]
) -> tuple[Kind | None, list[tuple[str, EvalspanError | msgspec.ValidationError]]]:
    """One table as its struct, None when there is none to be had; everything that is wrong, by the key to look at."""
    found: list[tuple[str, EvalspanError | msgspec.ValidationError]] = []
    known = kind.__struct_encode_fields__
    types = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    prepared: dict[str, Any] = {}
    for key, value in values.items():
        try:
            if key not in known:
                raise ConfigError(f"unknown field `{key}`", hint=did_you_mean(key, known))
            prepared |= prepare({key: value})
        except EvalspanError as error:
            found.append((key, error))
    left, refused = refusals(kind, prepared)
    missing = {key for key, _ in found}
    for keys, reason in refused:
        key = _key_of(reason) or next(iter(keys), "name")
        # What could not be read, or was written under another name, is not there, and that has been said.
        if key not in missing and not (missing and is_missing(reason)):
            found.append((key, _with_choices(reason, key, types.get(key), prepared.get(key))))
    return (None if left is None else msgspec.convert(left, kind)), found


def _with_choices(
    error: EvalspanError | msgspec.ValidationError, key: str, kind: Any, value: Any
) -> EvalspanError | msgspec.ValidationError:
    hint = choice_hint(error, kind, value)
    return ConfigError(f"{key} = {value!r} is unknown", hint=hint) if hint else error


def _key_of(error: Exception) -> str:
    about = re.search(r"`\$\.(\w+)|field `(\w+)`|^(\w+) (?:=|is)", str(error))
    return next(filter(None, about.groups()), "") if about else ""


def unknown_choice(field: str, value: Any, known: Sequence[str]) -> None:
    """Raises ConfigError, with the nearest one, when a text is none of those that the field takes."""
    if isinstance(value, str) and value not in known:
        raise ConfigError(f"{field} = {value!r} is unknown", hint=did_you_mean(value, known))


def source_location(path: Path | None, table: str, index: int, key: str = "name") -> str:
    """`file:line` of a key in the n-th [[table]]; of its header when the key is not found."""
    if path is None or not path.is_file():
        return f"[[{table}]] number {index + 1}"
    header, seen = 1, -1
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if re.match(rf"\s*\[\[\s*{re.escape(table)}\s*\]\]", line):
            seen += 1
            header = number if seen == index else header
        elif seen == index and key and re.match(rf"\s*{re.escape(key)}\s*=", line):
            return f"{path}:{number}"
    return f"{path}:{header}"
