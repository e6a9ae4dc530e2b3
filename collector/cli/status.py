"""`evalspan status`: what arrived from whom, what was refused or dropped and why, how far behind the store is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from ...queries.cli.options import store_option
from ...queries.cli.output import format_option, render, say_nothing
from ...queries.durations import parse_duration
from ...queries.ingest_stats import senders, unpriced_calls
from ...queries.store.client import Result, connect
from ...queries.store.config import parse_dsn
from ...queries.store.lock_file import Owner, service_of
from ..config import load_config
from ..log.quarantine import log_directory, set_aside_records
from ..metrics_client import counters, parts
from ..online.terminal import say_funnel


@click.command()
@store_option
@click.option("--since", default="24h", show_default=True, help="How far back: 30m, 24h, 7d.")
@click.option(
    "--counters", "only_counters", is_flag=True, help="The running service's counters instead of the senders."
)
@format_option
def status(dsn: str | None, since: str, only_counters: bool, format_: str) -> None:
    """What arrived from whom, what was dropped and why.

    Rows of senders go to stdout; the running service's refusals and backlog to stderr, or to stdout with --counters.
    """
    location = parse_dsn(dsn)
    owner = service_of(Path(location.path)) if location.embedded else None
    counted = counters(owner) if owner is not None else []
    if only_counters:
        render(Result(["counter", "labels", "value"], ["String", "String", "Float64"], counted), format_)
        return
    with connect(dsn) as opened:
        seconds = int(parse_duration(since, name="--since").total_seconds())
        found = senders(opened, seconds)
        render(found, format_)
        if not found.rows:
            say_nothing(f"spans in the last {since}", opened)
        _say_unpriced(unpriced_calls(opened, seconds))
        say_funnel(opened)
    _say(owner, location.described, counted)
    _say_set_aside(log_directory(load_config().receive.log_path, location))


def _say_set_aside(directory: Path) -> None:
    """What could not be inserted for what is in it, by signal, project and reason."""
    found = Counter((one.signal, one.project, one.reason) for one in set_aside_records(directory))
    for (signal, project, reason), count in found.most_common(20):
        click.echo(f"  set aside: {count} of {signal} of project {project}: {reason}", err=True)
    if found:
        click.echo("  `evalspan replay` inserts them again, for example after an upgrade", err=True)


def _inert(text: str) -> str:
    """Names that senders chose, without what a terminal obeys."""
    return "".join(one if one.isprintable() else "?" for one in text)[:120]


def _say_unpriced(unpriced: Result) -> None:
    if unpriced.rows:
        click.echo("calls without a known cost:", err=True)
    for reason, provider, model, calls in unpriced.rows:
        named = " ".join(part for part in (provider, model) if part) or "no provider, no model"
        click.echo(f"  {calls:,} of {_inert(named)}: {_inert(reason)}", err=True)
    if unpriced.rows:
        click.echo("  once a price is known, `evalspan replay --unpriced` gives them their cost", err=True)


def _say(owner: Owner | None, store: str, counted: list[tuple[str, str, float]]) -> None:
    if owner is None:
        click.echo(f"no `evalspan serve` runs on {store}", err=True)
        return
    click.echo(f"service: process {owner.pid}, OTLP at {owner.http}, SQL at {owner.sql}", err=True)
    for part, one in parts(owner).items():
        if one["restarts"] or one["state"] not in ("ok", "off"):
            again = f", started again {one['restarts']} times" if one["restarts"] else ""
            why = f": {one['detail']}" if one["detail"] else ""
            click.echo(f"  {part} is {one['state']} since {one['since']}{again}{why}", err=True)
    worth = ("rejected", "sampled_out", "failures", "quarantined", "damaged", "backlog", "duplicate")
    for name, labels, value in counted:
        if value and any(word in name for word in worth):
            click.echo(f"  {name}{f' ({labels})' if labels else ''}: {value:g}", err=True)
