"""What is wrong with settings: every mistake of a table at once, each at its line, with the nearest name or what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec

from ..errors import ConfigError, did_you_mean, nearest
from .settings import Mistake, Sources, line_of, read_sources

Table = TypeVar("Table", bound=msgspec.Struct)


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
        lines = [f"  {one}{_ending(one)}" for one in mistakes]
        raise ConfigError(f"{len(mistakes)} settings are wrong:\n" + "\n".join(lines), hint="Correct each of them.")


def _ending(mistake: Mistake) -> str:
    """The hint after its sentence, or as a part of it."""
    if not mistake.hint:
        return ""
    return f"{'' if mistake.message.endswith(('.', '!', '?', ')')) else ':'} {mistake.hint}"


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
        if not isinstance(sources.values[table], dict | list):
            having = [name for name, kind in tables.items() if table in kind.__struct_encode_fields__]
            hint = (
                f"Write it below {' or '.join(f'[{name}]' for name in having)}." if having else "Every key is in one."
            )
            yield Mistake(where, f"{table} stands before the first table.", hint)
            continue
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
    left, refused = refusals(kind, good)
    for keys, reason in refused:  # what the table's owner refuses says which key itself
        places = dict.fromkeys(sources.origins.get(f"{table}.{name}", table) for name in keys or good)
        mistakes.append(Mistake(", ".join(places), _sentence(reason), getattr(reason, "hint", "")))
    return msgspec.convert(left or {}, kind, strict=True), mistakes


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


def refusals(
    kind: type[msgspec.Struct], values: Mapping[str, Any]
) -> tuple[dict[str, Any] | None, list[tuple[list[str], ConfigError | msgspec.ValidationError]]]:
    """
    All that a struct refuses of the values of its known keys, and not its first word alone.

    Returns the values that it takes, None when what it cannot do without is wrong, and for each refusal the keys that
    take part in it (none when a key is missing) with the error.
    """
    required = {field.encode_name for field in msgspec.structs.fields(kind) if field.required}
    left, gone, whole = dict(values), set[str](), True
    found: list[tuple[list[str], ConfigError | msgspec.ValidationError]] = []
    while (error := _refusal(kind, left)) is not None:
        if (gone and any(_names(error, key) for key in gone)) or (
            found and not any(_names(error, key) for key in left)
        ):
            return None, found  # that is missed which was wrong, and that has been said
        # Without a key that takes part the word is another one. But a struct that misses a key may say so first: keys that
        # the word names come before those.
        part = [key for key in left if key not in required and str(_refusal(kind, _without(left, [key]))) != str(error)]
        named = [key for key in left if _names(error, key)]
        keys = [key for key in part if key in named] or ([] if named else part)
        found.append((keys or named, error))
        if keys:
            left, gone = _without(left, keys), gone | set(keys)
            continue
        # What cannot be left out gets a value that does, for the rest to be looked at.
        whole = False
        others = ({**left, key: value} for key in named for value in _STAND_INS if left[key] != value)
        left = next(
            (one for one in others if str(_refusal(kind, one)) != str(error) and not _type_only(kind, one, named)), {}
        )
        if not left:
            return None, found
    return (left if whole else None), found


# A text, a number of either kind, a list: one of them does for a key of any kind.
_STAND_INS: tuple[Any, ...] = ("x", 1, 0.001, ["x"])


def _type_only(kind: type[msgspec.Struct], values: dict[str, Any], keys: list[str]) -> bool:
    """Whether a stand-in is of the wrong kind itself."""
    error = _refusal(kind, values)
    return error is not None and any(_names(error, key) for key in keys)


def _names(error: Exception, key: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(key)}(?![\w-])", str(error)) is not None


def is_missing(error: Exception) -> bool:
    """Whether a struct refuses a table because a key that it needs is not there."""
    return isinstance(error, msgspec.ValidationError) and "missing required field" in str(error)


def _refusal(kind: type[msgspec.Struct], values: dict[str, Any]) -> ConfigError | msgspec.ValidationError | None:
    try:
        msgspec.convert(values, kind, strict=True)
    except (ConfigError, msgspec.ValidationError) as error:
        return error
    return None


def _without(values: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in keys}


def _convert_value(sources: Sources, table: str, key: str, value: Any, kind: Any) -> Iterator[Mistake]:
    items = _item_type(kind)
    if items is not None and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _check(sources, [table, key, index], item, items, f"[[{table}.{key}]]")
    else:
        yield from _check(sources, [table, key], value, kind, f"[{table}] {key}")


def _check(sources: Sources, path: list[str | int], value: Any, kind: Any, shown: str) -> Iterator[Mistake]:
    """What is wrong with one value, at the line of the key that is wrong inside it."""
    if not (isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        try:
            msgspec.convert(value, kind, strict=True)
        except (ConfigError, msgspec.ValidationError) as error:
            yield _mistake(sources, path, error, shown, choice_hint(error, kind, value))
        return
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    unknown = [name for name in value if name not in known]
    for name in unknown:
        where = _place(sources, [*path, name])
        yield Mistake(where, f"{shown} has no key {name!r}.", did_you_mean(name, known))
    for keys, reason in refusals(kind, _without(value, unknown))[1]:
        if unknown and is_missing(reason):
            continue  # it may be there under the other name
        types = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
        choices = choice_hint(reason, types[keys[0]], value[keys[0]]) if keys else ""
        yield _mistake(sources, [*path, *keys[:1]], reason, shown, choices)


def choice_hint(error: Exception, kind: Any, value: Any) -> str:
    """What could be written instead of a word that is none of those that a key takes; empty for another mistake."""
    if "Invalid enum value" not in str(error):
        return ""
    inner = [kind, *get_args(kind)]
    known = [one for part in inner if get_origin(part) is Literal for one in get_args(part)]
    return did_you_mean(str(value), [str(one) for one in known])


def _mistake(sources: Sources, path: list[Any], error: Exception, shown: str, choices: str = "") -> Mistake:
    if isinstance(error, ConfigError):
        return Mistake(_place(sources, path), str(error), error.hint)
    if choices:
        return Mistake(_place(sources, path), f"{shown}: {_sentence(error)}", choices)
    inner = [name for name in re.findall(r"[\w-]+", str(error).partition(" - at `$")[2]) if name not in path]
    hint = "`evalspan config show` lists keys and values."
    return Mistake(_place(sources, [*path, *inner]), f"{shown}: {_sentence(error)}", hint)


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


def _sentence(error: Exception) -> str:
    return (
        str(error).partition(" - at `$")[0].rstrip(".") + "."
        if isinstance(error, msgspec.ValidationError)
        else str(error)
    )
