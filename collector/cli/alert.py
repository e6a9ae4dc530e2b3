"""`evalspan alert`: which rules watch and fire, try one out, silence one, what fired before."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ...errors import UsageError
from ...queries import catalog
from ...queries.cli.links import point_to
from ...queries.cli.options import project_option, store_option
from ...queries.cli.output import ListsByDefault, format_option, render
from ...queries.conditions import matching
from ...queries.durations import parse_duration
from ...queries.store.client import connect
from ..alerts.config import AlertRule, read_rules, read_sinks
from ..alerts.notices import notice_of
from ..alerts.sinks import Sink
from ..alerts.watcher import parameters_of
from ..config import load_config

_config_option = click.option("--config", "path", type=click.Path(path_type=Path), help="Settings.  [./evalspan.toml]")


@click.group(cls=ListsByDefault)
def alert() -> None:
    """List, test and silence alerts. Rules are in `[alerts]` of evalspan.toml; the service watches them."""


@alert.command("list")
@click.option("--project", default="", help="Only this project.")
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
        click.echo(f"no rules yet in {store.described}: `evalspan serve` writes them when it starts", err=True)
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
        render(catalog.get("alert_history").run(store, project=project, rule=rule, since_s=seconds), format_)
    finally:
        store.close()


@alert.command()
@click.argument("name")
@click.option("--for", "length", default="1h", show_default=True, help="For how long: 90m, 2h, 1d; 0 ends a silence.")
@store_option
def silence(name: str, length: str, dsn: str | None) -> None:
    """Send nothing of a rule for a while; its alerts are still recorded."""
    until = None if length == "0" else datetime.now(UTC) + parse_duration(length)
    store = connect(dsn)
    try:
        rules = {row["rule"]: row for row in catalog.get("alert_overview").run(store).dicts()}
        if name not in rules:
            raise UsageError(f"There is no rule {name!r}.", hint=f"There are: {', '.join(rules) or 'none'}.")
        rule = rules[name]
        kept = {key: rule[key] for key in ("project", "query", "parameters", "condition", "severity", "interval_s")}
        store.insert("alert_rules", [{**kept, "rule_id": name, "name": name, "silenced_until": until}])
    finally:
        store.close()
    click.echo(f"{name} is silent until {until:%Y-%m-%d %H:%M} UTC" if until else f"{name} is heard again", err=True)


@alert.command()
@click.argument("name")
@click.option("--send", is_flag=True, help="Also send a notice of the first row, or an empty one, to the rule's sinks.")
@_config_option
@store_option
@format_option
@click.pass_context
def test(ctx: click.Context, name: str, send: bool, path: Path | None, dsn: str | None, format_: str) -> None:
    """Ask a rule's question now and show the rows that meet its condition; exit code 3 when there are any."""
    settings = load_config(path)
    rules, problems = read_rules(settings.alerts, path)
    for problem in problems:
        click.echo(str(problem), err=True)
    rule = next((one for one in rules if one.name == name), None)
    if rule is None:
        raise UsageError(f"There is no rule {name!r}.", hint=f"There are: {', '.join(one.name for one in rules)}.")
    if rule.telemetry:
        raise UsageError(f"{name} watches the service's own {rule.telemetry}.", hint="Its value is at /metrics.")
    store = connect(dsn)
    try:
        found = matching(store, rule.query, rule.condition, parameters_of(rule, datetime.now(UTC)))
    finally:
        store.close()
    render(found, format_)
    if send:
        _send(rule, found.dicts(), settings.alerts, path)
    ctx.exit(3 if found.rows else 0)


def _send(rule: AlertRule, rows: list[dict[str, Any]], settings: Any, path: Path | None) -> None:
    sinks, problems = read_sinks(settings, path)
    for problem in problems:
        click.echo(str(problem), err=True)
    row = rows[0] if rows else {}
    notice = notice_of(
        rule, (), "test", datetime.now(UTC), row, [], "" if row else "a test: nothing meets the condition"
    )
    for config in sinks:
        if not rule.sinks or config.name in rule.sinks:
            worked = asyncio.run(Sink(config, lambda *_, **__: None).deliver(notice))
            click.echo(f"{config.name}: {'delivered' if worked else 'FAILED, see above'}", err=True)
