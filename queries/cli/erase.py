"""`evalspan erase`: deletes what is stored of one user, on their request."""

from __future__ import annotations

import click
import msgspec

from ...errors import UsageError
from .options import project_option, store_option
from .output import format_option, render


@click.command()
@click.option("--user", required=True, metavar="ID", help="As in evalspan.context(user=ID); the column user_id.")
@click.option("--yes", is_flag=True, help="Delete; without it the rows are only counted.")
@click.option("--no-input", is_flag=True, help="No effect here; accepted for scripts.")
@project_option
@store_option
@format_option
def erase(user: str, yes: bool, no_input: bool, project: str, dsn: str | None, format_: str) -> None:  # noqa: ARG001
    """Delete a user's traces and conversations, their scores, the examples made from them, and experiments' answers to these.

    Without --yes it says how many rows that are. Dataset files, exports and backups are not touched: they are yours.
    """
    from ..erase import Erased, count_rows_of_user, erase_user
    from ..store.client import Store, connect
    from ..store.remote import RemoteStore
    from ..store.result import Result

    with connect(dsn) as store:
        found = count_rows_of_user(store, user, project)
        if yes and isinstance(store, RemoteStore):
            answer = store.post("/api/v1/erase", msgspec.json.encode({"user": user, "project": project}))
            found = msgspec.json.decode(answer, type=list[Erased])
        elif yes and isinstance(store, Store):
            found = erase_user(store, user, project)
    render(Result(["table", "rows"], ["String", "UInt64"], [(one.table, one.rows) for one in found]), format_)
    if not any(one.rows for one in found):
        raise UsageError(
            f"{store.described}, project {project!r}, has nothing of user {user!r}.",
            hint="The column user_id has their ids.",
        )
    click.echo("deleted" if yes else "nothing deleted: say --yes to delete these rows", err=True)
