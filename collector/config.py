"""All settings in one place: each table is its owner's struct; here they are read, overlaid and explained.

Precedence: flag > environment (EVALSPAN_<TABLE>_<KEY>, and EVALSPAN_STORE for the DSN) > evalspan.toml > default.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from ..dashboard.config import DashboardConfig
from ..errors import ConfigError, did_you_mean, nearest
from ..evaluators.online.config import EvaluationConfig
from ..queries.host.auth import AuthConfig
from ..queries.store.config import RetentionConfig, StoreConfig
from .alerts.config import AlertsConfig
from .receivers.config import ReceiveConfig
from .sampling.config import SamplingConfig

FILE_NAME = "evalspan.toml"


class Config(msgspec.Struct, frozen=True):
    """Every table of evalspan.toml, and where each value that is not a default came from."""

    store: StoreConfig = StoreConfig()
    retention: RetentionConfig = RetentionConfig()
    receive: ReceiveConfig = ReceiveConfig()
    sampling: SamplingConfig = SamplingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    alerts: AlertsConfig = AlertsConfig()
    auth: AuthConfig = AuthConfig()
    dashboard: DashboardConfig = DashboardConfig()
    origins: dict[str, str] = {}  # "receive.port" -> "evalspan.toml:3"

    def origin(self, table: str, key: str) -> str:
        """Where the value comes from: a flag, a variable, file and line, or "default"."""
        return self.origins.get(f"{table}.{key}", "default")


TABLES: dict[str, type[msgspec.Struct]] = {
    name: kind for name, kind in get_type_hints(Config).items() if isinstance(kind, type) and name != "origins"
}


def load_config(
    path: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Config:
    """The settings for this process. `flags` are {"table.key": value}; None values were not given.

    `path` None means EVALSPAN_CONFIG, else ./evalspan.toml if there is one.

    Raises:
        ConfigError: an unreadable file, an unknown table or key, a value of the wrong type; says where.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, dict[str, Any]] = {table: {} for table in TABLES}
    origins: dict[str, str] = {}
    _overlay_file(_file(path, environment), values, origins)
    _overlay_environment(environment, values, origins)
    for name, value in (flags or {}).items():
        if value is not None:
            table, key = name.split(".")
            values[table][key] = value
            origins[name] = f"--{'store' if name == 'store.dsn' else key.replace('_', '-')}"
    tables: dict[str, Any] = {table: _converted(table, kind, values[table], origins) for table, kind in TABLES.items()}
    return Config(**tables, origins=origins)


def _file(path: Path | None, environment: Mapping[str, str]) -> Path | None:
    named = path or (Path(environment["EVALSPAN_CONFIG"]) if environment.get("EVALSPAN_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise ConfigError(f"There is no configuration file {named}.", hint="Check --config or EVALSPAN_CONFIG.")
        return named
    here = Path(FILE_NAME)
    return here if here.is_file() else None


def _overlay_file(path: Path | None, values: dict[str, dict[str, Any]], origins: dict[str, str]) -> None:
    if path is None:
        return
    try:
        text = path.read_text()
        tree = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}", hint="It has to be TOML: tables and key = value."
        ) from error
    for table, content in tree.items():
        if table not in TABLES or not isinstance(content, dict):
            where = f"{path}:{_line(text, None, table)}"
            raise ConfigError(f"{where}: there is no table [{table}].", hint=did_you_mean(table, list(TABLES)))
        for key, value in content.items():
            where = f"{path}:{_line(text, table, key)}"
            known = TABLES[table].__struct_fields__
            if key not in known:
                raise ConfigError(f"{where}: [{table}] has no key {key!r}.", hint=did_you_mean(key, known))
            values[table][key] = value
            origins[f"{table}.{key}"] = where


def _overlay_environment(
    environment: Mapping[str, str], values: dict[str, dict[str, Any]], origins: dict[str, str]
) -> None:
    if environment.get("EVALSPAN_STORE"):
        values["store"]["dsn"] = environment["EVALSPAN_STORE"]
        origins["store.dsn"] = "EVALSPAN_STORE"
    for name, text in environment.items():
        table, _, key = name.removeprefix("EVALSPAN_").lower().partition("_")
        if not name.startswith("EVALSPAN_") or not key:
            continue
        if table not in TABLES:  # the instrumentation has variables of its own; a near miss is none of them
            if near := nearest(table, TABLES, cutoff=0.8):
                raise ConfigError(f"{name}: there is no table [{table}].", hint=f"Did you mean {near!r}?")
            continue
        known = TABLES[table].__struct_fields__
        if key not in known:
            raise ConfigError(f"{name}: [{table}] has no key {key!r}.", hint=did_you_mean(key, known))
        values[table][key] = _from_text(text)
        origins[f"{table}.{key}"] = name


def _from_text(text: str) -> Any:
    """A variable's text as the TOML value it would be in the file; what is no TOML value is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _converted(
    table: str, kind: type[msgspec.Struct], values: dict[str, Any], origins: dict[str, str]
) -> msgspec.Struct:
    try:
        return msgspec.convert(values, kind, strict=True)
    except ConfigError as error:  # what the table's owner refuses says which key; here is known where it was set
        places = dict.fromkeys(origins[f"{table}.{name}"] for name in values if f"{table}.{name}" in origins)
        raise ConfigError(f"{', '.join(places)}: {error}", hint=error.hint) from error
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$.")
        key = re.split(r"[.`\[]", path)[0]
        where = origins.get(f"{table}.{key}") or ", ".join(
            dict.fromkeys(origins[f"{table}.{name}"] for name in values if f"{table}.{name}" in origins)
        )
        shown = f"[{table}] {key}" if key else f"[{table}]"
        raise ConfigError(
            f"{where}: {shown}: {message}.", hint="`evalspan config show` lists keys and values."
        ) from error


def _line(text: str, table: str | None, key: str) -> int:
    """The line on which the key stands, or the table when `table` is None; 1 when TOML's other spellings hide it."""
    current = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[+\s*([^\].\s]+)", line):
            current = header.group(1).strip("\"'")
            if table is None and current == key:
                return number
        named = re.match(r"\s*[\"']?([\w-]+)[\"']?\s*[=.]", line)
        if named and named.group(1) == key and (table is None or current == table):
            return number
    return 1
