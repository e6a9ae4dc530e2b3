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


def _named_project(_: click.Context, __: click.Parameter, value: str | None) -> str:
    from ..store.config import configured_project

    return configured_project() if value is None else value


def _project_or_default(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str:
    return _named_project(ctx, parameter, value) or "default"


project_option = click.option(
    "--project",
    callback=_project_or_default,
    help="The project.  [EVALSPAN_PROJECT, [store] project, default]",
)
any_project_option = click.option(
    "--project",
    callback=_named_project,
    help="Only this project.  [EVALSPAN_PROJECT, [store] project, all]",
)


def config_option() -> click.Option:
    """`--config`, the same in every command: the file counts until the command ends, and is known before other options."""

    def choose(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
        if value is not None:
            choose_file(value)
            ctx.call_on_close(lambda: choose_file(None))

    return click.Option(
        ["--config"],
        type=click.Path(path_type=Path),
        expose_value=False,
        is_eager=True,
        callback=choose,
        help="Settings.  [EVALSPAN_CONFIG, ./evalspan.toml]",
    )
