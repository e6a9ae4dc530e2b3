"""Options that mean the same in every command: which store, whose rows, which settings file."""

from __future__ import annotations

from pathlib import Path

import click

from ..settings import choose_file

store_option = click.option(
    "--store",
    "dsn",
    metavar="DSN",
    help="chdb:///PATH or http(s)://user:password@host:port/db.  [EVALSPAN_STORE, [store] dsn, the user's data directory]",
)
project_option = click.option(
    "--project",
    default="default",
    show_default=True,
    envvar="EVALSPAN_PROJECT",
    help="The project.  [EVALSPAN_PROJECT]",
)


def config_option() -> click.Option:
    """`--config` for commands that only read settings: the file counts for the whole process."""

    def choose(_: click.Context, __: click.Parameter, value: Path | None) -> None:
        choose_file(value)

    return click.Option(
        ["--config"],
        type=click.Path(path_type=Path),
        expose_value=False,
        callback=choose,
        help="Settings.  [EVALSPAN_CONFIG, ./evalspan.toml]",
    )
