"""Where settings come from: a flag, an EVALSPAN_* variable, evalspan.toml, the default; what a table means is its owner's.

Every command resolves its settings here, so that all of them read the same store and agree about what a mistake is.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..errors import ConfigError

FILE_NAME = "evalspan.toml"
FILE_VARIABLE = "EVALSPAN_CONFIG"
# Variables that are short for a setting: the two that people say most.
SHORT = {"EVALSPAN_STORE": ("store", "dsn"), "EVALSPAN_PROJECT": ("store", "project")}


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
        if name in SHORT:
            table, key = SHORT[name]
        if name.startswith("EVALSPAN_") and key and value:
            _set(sources, table, key, value if name in SHORT else _from_text(value), name)
    for name, value in (flags or {}).items():
        if value is not None:
            table, key = name.split(".")
            _set(sources, table, key, value, f"--{'store' if name == 'store.dsn' else key.replace('_', '-')}")
    return sources


def line_of(text: str, path: list[Any]) -> int:
    """The line of a key, ["table", "key"] or ["table", "key", 2, "inner"] for the third `[[table.key]]`.

    Of the header when the key itself is not found, and 1 when TOML's other spellings hide both.
    """
    names = [part for part in path if isinstance(part, str)]
    wanted = next((part for part in path if isinstance(part, int)), None)
    header, listed, best, seen = "", False, 1, -1
    for number, line in enumerate(text.splitlines(), start=1):
        if opened := re.match(r"\s*(\[+)\s*([^\]]+?)\s*\]", line):
            header, listed = re.sub(r"[\"'\s]", "", opened[2]), opened[1] == "[["
            if header in (".".join(names[:1]), ".".join(names[:2])):
                seen += opened[1] == "[["
                if wanted is None or seen == wanted or opened[1] == "[":
                    best = number
            continue
        if wanted is not None and not (listed and seen == wanted):
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
