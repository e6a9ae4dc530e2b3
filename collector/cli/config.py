"""`evalspan config`: the settings in force, where each came from, and what is wrong with a file."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from ...errors import ConfigError, UsageError
from ...queries.cli.output import format_option, render
from ...queries.host.auth import refuse_open_door
from ...queries.rule_tables import RuleProblem
from ...queries.setting_checks import refuse
from ...queries.settings import Mistake
from ...queries.store.client import Result
from ...queries.store.cluster import check_cluster
from ...queries.store.config import parse_dsn
from ..config import TABLES, Config, check_config, load_config
from ..receivers.tls import certificate_of


@click.group()
def config() -> None:
    """Show and check the settings: flag > EVALSPAN_* > evalspan.toml > default."""


@config.command()
@click.option("--origin", is_flag=True, help="Also say where each value came from.")
@format_option
def show(origin: bool, format_: str) -> None:
    """Print every setting and its value; secrets are not shown."""
    loaded = load_config()
    columns = ["table", "key", "value", *(["origin"] if origin else [])]
    rows = [row if origin else row[:3] for row in _rows(loaded)]
    render(Result(columns, ["String"] * len(columns), rows), format_)


@config.command()
@click.argument("path", type=click.Path(path_type=Path), required=False)
def check(path: Path | None) -> None:
    """Say whether the settings can be used; exit 2 with everything that is wrong: file, line, the nearest name."""
    loaded, mistakes = check_config(path)
    rules = [Mistake(one.where, one.what) for one in _problems(loaded)]
    refuse([*mistakes, *_unusable(loaded), *rules])
    known = [name for name in loaded.origins if name.split(".")[0] in TABLES]
    click.echo(f"configuration valid ({len(known)} values set)")


def _unusable(loaded: Config) -> Iterator[Mistake]:
    """What would stop `evalspan serve` although each value by itself is one: files, addresses, settings that go together."""
    store = loaded.store
    attempts: list[tuple[str, Callable[[], object]]] = [
        ("receive.host", lambda: refuse_open_door(loaded.receive.host, loaded.auth)),
        ("receive.tls_cert", lambda: certificate_of(loaded.receive)),
        ("store.dsn", lambda: parse_dsn(store.dsn) if store.dsn else None),
        ("store.cluster", lambda: check_cluster(store.cluster, embedded=store.dsn[:4] in ("", "chdb"))),
    ]
    for name, attempt in attempts:
        try:
            attempt()
        except (ConfigError, UsageError) as error:
            yield Mistake(loaded.origins.get(name, ""), str(error), error.hint)


def _problems(loaded: Config) -> list[RuleProblem]:
    """What is wrong with the rules and sinks; their queries and conditions are tried on an empty store."""
    from ...queries.store.client import open_store
    from ..alerts import load_rules
    from ..online import ready_rules

    if not (loaded.evaluation.rules or loaded.alerts.rules):
        return list(load_rules(loaded, None)[2])
    with tempfile.TemporaryDirectory() as scratch, open_store(f"chdb://{scratch}/store") as store:
        return [*load_rules(loaded, store)[2], *ready_rules(loaded, store)[1]]


@config.command()
def reference() -> None:
    """Print docs/configuration.md, written from the settings themselves."""
    from .config_docs import configuration_markdown

    click.echo(configuration_markdown(), nl=False)


def _rows(loaded: Config) -> list[tuple[Any, ...]]:
    return [
        (table, key, toml_value(table, key, getattr(getattr(loaded, table), key)), loaded.origin(table, key))
        for table, kind in TABLES.items()
        for key in kind.__struct_fields__
    ] + [("prices", price.model, msgspec.json.encode(price).decode(), "evalspan.toml") for price in loaded.prices]


def toml_value(table: str, key: str, value: Any) -> str:
    """The value as TOML writes it (JSON for what is nested), without keys and passwords."""
    if (table, key) == ("auth", "keys"):
        value = {f"{name[:4]}…": project for name, project in value.items()}
    if (table, key) == ("store", "dsn"):
        value = re.sub(r"(?<=:)[^:/@]+(?=@)", "…", value)
    return msgspec.json.encode(value).decode()
