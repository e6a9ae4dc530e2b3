"""`evalspan alert`: which rules watch and fire, try one out, silence one, what fired before."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from ...errors import CollectorUnreachable, UsageError
from ...queries import catalog
from ...queries.alert_rules import silence as silence_rule
from ...queries.alert_rules import stored_rules
from ...queries.cli.links import point_to
from ...queries.cli.options import any_project_option, project_option, store_option
from ...queries.cli.output import ListsByDefault, format_option, render, say_nothing
from ...queries.conditions import matching
from ...queries.durations import parse_duration
from ...queries.settings import FILE_NAME, settings_file
from ...queries.store.client import Result, connect
from ...queries.store.protocol import StoreClient
from ...queries.store.remote import RemoteStore

EXIT_FAILED, EXIT_FIRING = 1, 3


@click.group(cls=ListsByDefault)
def alert() -> None:
    """List, test and silence alerts. Rules are in `[alerts]` of evalspan.toml; the service evaluates them."""


@alert.command("list")
@any_project_option
@store_option
@format_option
@click.pass_context
def list_(ctx: click.Context, project: str, dsn: str | None, format_: str) -> None:
    """The rules with their state; exit code 3 when one fires."""
    store = connect(dsn)
    try:
        found = catalog.get("alert_overview").run(store, project=project)
        point_to(store, "/alerts", project=project)
    finally:
        store.close()
    if not found.rows:
        say_nothing("rules yet", store, project)
        click.echo("`evalspan serve` writes them when it starts", err=True)
    render(found, format_)
    ctx.exit(3 if any(row["firing"] for row in found.dicts()) else 0)


@alert.command()
@project_option
@click.option("--rule", default="", help="Only this rule.")
@click.option("--since", default="7d", show_default=True, help="Length of the period: 24h, 7d.")
@store_option
@format_option
def history(project: str, rule: str, since: str, dsn: str | None, format_: str) -> None:
    """The alerts that were raised, newest first."""
    store = connect(dsn)
    try:
        seconds = int(parse_duration(since, name="--since").total_seconds())
        found = catalog.get("alert_history").run(store, project=project, rule=rule, since_s=seconds)
        render(found, format_)
        if not found.rows:
            say_nothing(f"alerts{f' of {rule!r}' if rule else ''} in the last {since}", store, project)
    finally:
        store.close()


@alert.command()
@click.argument("name")
@click.option("--for", "length", default="1h", show_default=True, help="For how long: 90m, 2h, 1d; 0 ends a silence.")
@store_option
def silence(name: str, length: str, dsn: str | None) -> None:
    """Send no notices of a rule for a while; its alerts are still recorded."""
    until = None if length == "0" else datetime.now(UTC) + parse_duration(length, name="--for")
    store = connect(dsn)
    try:
        silence_rule(store, name, until)
    finally:
        store.close()
    said = f"{name} is silenced until {until:%Y-%m-%d %H:%M} UTC" if until else f"silence on {name} removed"
    click.echo(said, err=True)


@alert.command()
@click.argument("name")
@click.option("--send", is_flag=True, help="Also send a notice of the first row, or an empty one, to the rule's sinks.")
@click.option("--as-service", is_flag=True, help="Let the running service do it: its rules, its secrets, its network.")
@store_option
@format_option
@click.pass_context
def test(ctx: click.Context, name: str, send: bool, as_service: bool, dsn: str | None, format_: str) -> None:
    """Evaluate a rule now and show the rows that meet its condition; exit code 3 when there are any.

    Rules and secrets are those of the settings file and this shell; with --as-service those of the service.
    """
    store = connect(dsn)
    try:
        if as_service:
            rows, delivered = _in_service(store, name, send=send)
        else:
            rows, delivered = _here(store, name, send=send)
    finally:
        store.close()
    render(_as_result(rows), format_)
    for sink, problem in delivered.items():
        click.echo(f"{sink}: {f'FAILED: {problem}' if problem else 'delivered'}", err=True)
    ctx.exit(EXIT_FAILED if any(delivered.values()) else EXIT_FIRING if rows else 0)


def _here(store: StoreClient, name: str, *, send: bool) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Evaluates by the settings that this command reads and sends with the secrets of this shell."""
    from ..alerts.config import read_rules, read_sinks
    from ..alerts.load import parameters_of
    from ..alerts.sinks import Sink
    from ..alerts.trial import send_trial
    from ..config import load_config

    settings, path = load_config(), settings_file()
    rules, problems = read_rules(settings.alerts, path)
    sinks, sink_problems = read_sinks(settings.alerts, path)
    for problem in [*problems, *(sink_problems if send else [])]:
        click.echo(str(problem), err=True)
    rule = next((one for one in rules if one.name == name), None)
    if rule is None:
        stored = {row["rule_id"] for row in stored_rules(store)}
        hint = "The running service has it: --as-service evaluates it there." if name in stored else ""
        names = ", ".join(one.name for one in rules)
        where = f"{path or f'{FILE_NAME}, which is not in {Path.cwd()},'} and among the built-in rules"
        raise UsageError(f"There is no rule {name!r} in {where}.", hint=hint or f"There are: {names}.")
    if rule.telemetry:
        raise UsageError(
            f"{name} watches the service's own {rule.telemetry}.", hint="--as-service evaluates it; /metrics shows it."
        )
    rows = matching(store, rule.query, rule.condition, parameters_of(rule, datetime.now(UTC))).dicts()
    if not send:
        return rows, {}
    chosen = [Sink(sink, lambda *_, **__: None) for sink in sinks if not rule.sinks or sink.name in rule.sinks]
    return rows, asyncio.run(send_trial(rule, rows, chosen, datetime.now(UTC)))


def _in_service(store: StoreClient, name: str, *, send: bool) -> tuple[list[dict[str, Any]], dict[str, str]]:
    if not isinstance(store, RemoteStore):
        raise CollectorUnreachable(
            "No service runs on this store.", hint="Start `evalspan serve`, or leave --as-service out."
        )
    answer = json.loads(store.post(f"/api/v1/alerts/{quote(name, safe='')}/test{'?send=1' if send else ''}", b""))
    return answer["rows"], answer["delivered"]


def _as_result(rows: list[dict[str, Any]]) -> Result:
    columns = list(rows[0]) if rows else []
    return Result(columns, ["String"] * len(columns), [tuple(row[name] for name in columns) for row in rows])
