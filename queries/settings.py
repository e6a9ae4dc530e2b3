"""Where settings come from: a flag, an EVALSPAN_* variable, evalspan.toml, the default; what a table means is its owner's.

Every command resolves its settings here, so that all of them read the same store and agree about what a mistake is.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import msgspec

from ..errors import ConfigError, did_you_mean, nearest

FILE_NAME = "evalspan.toml"
FILE_VARIABLE = "EVALSPAN_CONFIG"
STORE_VARIABLE = "EVALSPAN_STORE"  # short for [store] dsn

Table = TypeVar("Table", bound=msgspec.Struct)


class Mistake(msgspec.Struct, frozen=True):
    """Something that is wrong with one setting: where it was set, what is wrong, how to mend it."""

    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class Sources(msgspec.Struct):
    """The values that somebody set, by table and key, with where each was set; no defaults."""

    file: Path | None
    text: str
    values: dict[str, Any]
    """Table -> {key: value}; a list of such for `[[prices]]` and the like."""
    origins: dict[str, str]
    """"receive.port" -> "evalspan.toml:3", "EVALSPAN_RECEIVE_PORT" or "--port"."""


_chosen: Path | None = None


def choose_file(path: Path | None) -> None:
    """What `--config` of a command says, for the whole process."""
    global _chosen
    _chosen = path


def settings_file(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Path | None:
    """The file that is read: `path`, `--config`, EVALSPAN_CONFIG or ./evalspan.toml; None when there is none.

    Raises:
        ConfigError: a file was named that does not exist.
    """
    environment = os.environ if environment is None else environment
    named = path or _chosen or (Path(environment[FILE_VARIABLE]) if environment.get(FILE_VARIABLE) else None)
    if named is not None:
        if not named.is_file():
            raise ConfigError(f"There is no configuration file {named}.", hint=f"Check --config or {FILE_VARIABLE}.")
        return named
    here = Path(FILE_NAME)
    return here if here.is_file() else None


def read_sources(
    path: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Sources:
    """Everything that was set, unchecked. `flags` are {"table.key": value}; None values were not given.

    Raises:
        ConfigError: the file is not there or not TOML.
    """
    environment = os.environ if environment is None else environment
    file = settings_file(path, environment)
    text, tree = _parsed(file)
    sources = Sources(file, text, {}, {})
    for table, content in tree.items():
        sources.values[table] = content
        for key in content if isinstance(content, dict) else ():
            sources.origins[f"{table}.{key}"] = f"{file}:{line_of(text, [table, key])}"
    for name, value in environment.items():
        table, _, key = name.removeprefix("EVALSPAN_").lower().partition("_")
        if name == STORE_VARIABLE:
            table, key = "store", "dsn"
        if name.startswith("EVALSPAN_") and key and value:
            _set(sources, table, key, value if name == STORE_VARIABLE else _from_text(value), name)
    for name, value in (flags or {}).items():
        if value is not None:
            table, key = name.split(".")
            _set(sources, table, key, value, f"--{'store' if name == 'store.dsn' else key.replace('_', '-')}")
    return sources


def read_table(table: str, kind: type[Table], *, environment: Mapping[str, str] | None = None) -> tuple[Table, Sources]:
    """One table's settings, for commands that need no other; mistakes elsewhere in the file are not theirs.

    Raises:
        ConfigError: the file cannot be read, or this table has a mistake.
    """
    sources = read_sources(environment=environment)
    converted, mistakes = convert_table(sources, table, kind)
    refuse(mistakes)
    return converted, sources


def refuse(mistakes: list[Mistake]) -> None:
    """Raises ConfigError with all of them, if there are any."""
    if len(mistakes) == 1:
        raise ConfigError(str(mistakes[0]), hint=mistakes[0].hint)
    if mistakes:
        lines = [f"  {one}{f' {one.hint}' if one.hint else ''}" for one in mistakes]
        raise ConfigError(f"{len(mistakes)} settings are wrong:\n" + "\n".join(lines), hint="Correct each of them.")


def unknown_names(sources: Sources, tables: Mapping[str, Any]) -> Iterator[Mistake]:
    """Tables that do not exist, in the file and as near misses among the variables."""
    for table in sources.values:
        if table in tables:
            continue
        variables = [where for name, where in sources.origins.items() if name.startswith(f"{table}.")]
        if variables and all(where.startswith("EVALSPAN_") for where in variables):
            # The instrumentation has variables of its own; a near miss is none of them.
            if near := nearest(table, tables, cutoff=0.8):
                yield Mistake(variables[0], f"there is no table [{table}].", f"Did you mean {near!r}?")
            continue
        where = f"{sources.file}:{line_of(sources.text, [table])}"
        yield Mistake(where, f"there is no table [{table}].", did_you_mean(table, tables))


def convert_table(sources: Sources, table: str, kind: type[Table]) -> tuple[Table, list[Mistake]]:
    """The table as its owner's struct, with defaults for what is not set or wrong, and all that is wrong."""
    given = sources.values.get(table, {})
    if not isinstance(given, dict):
        where = f"{sources.file}:{line_of(sources.text, [table])}"
        return kind(), [Mistake(where, f"[{table}] has to be a table, not {type(given).__name__}.")]
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    mistakes: list[Mistake] = []
    good: dict[str, Any] = {}
    for key, value in given.items():
        where = sources.origins.get(f"{table}.{key}", table)
        if key not in fields:
            mistakes.append(Mistake(where, f"[{table}] has no key {key!r}.", did_you_mean(key, fields)))
            continue
        found = list(_convert_value(sources, table, key, value, fields[key].type))
        if found:
            mistakes += found
        else:
            good[key] = value
    try:
        return msgspec.convert(good, kind, strict=True), mistakes
    except (ConfigError, msgspec.ValidationError) as error:  # what the table's owner refuses says which key itself
        places = dict.fromkeys(
            sources.origins[f"{table}.{name}"] for name in good if f"{table}.{name}" in sources.origins
        )
        mistakes.append(Mistake(", ".join(places), _sentence(error), getattr(error, "hint", "")))
        return kind(), mistakes


def convert_list(sources: Sources, name: str, kind: type[Table]) -> tuple[tuple[Table, ...], list[Mistake]]:
    """The tables of `[[name]]` as their owner's structs, without those that are wrong, and all that is wrong."""
    given = sources.values.get(name, [])
    if not isinstance(given, list):
        where = f"{sources.file}:{line_of(sources.text, [name])}"
        return (), [Mistake(where, f"[[{name}]] has to be a list of tables: write it with two brackets.")]
    mistakes: list[Mistake] = []
    good = []
    for index, item in enumerate(given):
        found = list(_check(sources, [name, index], item, kind, f"[[{name}]]"))
        mistakes += found
        if not found:
            good.append(msgspec.convert(item, kind, strict=True))
    return tuple(good), mistakes


def _convert_value(sources: Sources, table: str, key: str, value: Any, kind: Any) -> Iterator[Mistake]:
    items = _item_type(kind)
    if items is not None and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _check(sources, [table, key, index], item, items, f"[[{table}.{key}]]")
    else:
        yield from _check(sources, [table, key], value, kind, f"[{table}] {key}")


def _check(sources: Sources, path: list[str | int], value: Any, kind: Any, shown: str) -> Iterator[Mistake]:
    """What is wrong with one value, at the line of the key that is wrong inside it."""
    if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        known = [field.encode_name for field in msgspec.structs.fields(kind)]
        unknown = [name for name in value if name not in known]
        for name in unknown:
            where = _place(sources, [*path, name])
            yield Mistake(where, f"{shown} has no key {name!r}.", did_you_mean(name, known))
        value = {name: item for name, item in value.items() if name in known}
    try:
        msgspec.convert(value, kind, strict=True)
    except ConfigError as error:
        yield Mistake(_place(sources, path), str(error), error.hint)
    except msgspec.ValidationError as error:
        inner = re.findall(r"[\w-]+", str(error).partition(" - at `$")[2])
        yield Mistake(
            _place(sources, [*path, *inner]),
            f"{shown}: {_sentence(error)}",
            "`evalspan config show` lists keys and values.",
        )


def _item_type(kind: Any) -> Any:
    """Of `list[X]` and `tuple[X, ...]`, also as one of a union: X when it is a struct, else None."""
    for one in (kind, *get_args(kind)):
        arguments = get_args(one)
        if get_origin(one) in (list, tuple) and arguments and isinstance(arguments[0], type):
            return arguments[0] if issubclass(arguments[0], msgspec.Struct) else None
    return None


def _place(sources: Sources, path: list[Any]) -> str:
    listed = isinstance(path[1], int)  # `[[prices]]` comes from the file only
    origin = "" if listed else sources.origins.get(f"{path[0]}.{path[1]}", "")
    if sources.file is None or not (listed or origin.startswith(f"{sources.file}:")):
        return origin
    return f"{sources.file}:{line_of(sources.text, path)}"


def line_of(text: str, path: list[Any]) -> int:
    """The line of a key, ["table", "key"] or ["table", "key", 2, "inner"] for the third `[[table.key]]`.

    Of the header when the key itself is not found, and 1 when TOML's other spellings hide both.
    """
    names = [part for part in path if isinstance(part, str)]
    wanted = next((part for part in path if isinstance(part, int)), None)
    header, best, seen = "", 1, -1
    for number, line in enumerate(text.splitlines(), start=1):
        if opened := re.match(r"\s*(\[+)\s*([^\]]+?)\s*\]", line):
            header = re.sub(r"[\"'\s]", "", opened[2])
            if header in (".".join(names[:1]), ".".join(names[:2])):
                seen += opened[1] == "[["
                if wanted is None or seen == wanted or opened[1] == "[":
                    best = number
            continue
        if wanted is not None and seen != wanted and header == ".".join(names[:2]):
            continue
        named = re.match(r"\s*[\"']?([\w-]+)[\"']?\s*[=.]", line)
        inside = header in (".".join(names[:1]), ".".join(names[:2])) or (not header and len(names) == 1)
        if named and inside and named[1] == names[-1]:
            return number
    return best


def _parsed(file: Path | None) -> tuple[str, dict[str, Any]]:
    if file is None:
        return "", {}
    try:
        text = file.read_text(encoding="utf-8-sig")
        return text, tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise ConfigError(
            f"{file} cannot be read: {error}", hint="It has to be TOML: tables and key = value."
        ) from error


def _set(sources: Sources, table: str, key: str, value: Any, origin: str) -> None:
    held = sources.values.setdefault(table, {})
    if isinstance(held, dict):
        held[key] = value
        sources.origins[f"{table}.{key}"] = origin


def _from_text(text: str) -> Any:
    """A variable's text as the TOML value it would be in the file; what is no TOML value is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


def _sentence(error: Exception) -> str:
    return (
        str(error).partition(" - at `$")[0].rstrip(".") + "."
        if isinstance(error, msgspec.ValidationError)
        else str(error)
    )
