"""`evalspan drift`: the drift report on the terminal; exit code 3 when something moved, 4 when there is too little data."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ...queries.cli.links import point_to
from ...queries.cli.options import project_option, store_option
from ...queries.cli.output import format_option, refusals_name, render
from ...queries.durations import parse_duration
from ...queries.store.client import Result, connect
from ..drift.reference import USAGE
from ..drift.report import DIMENSIONS, MIN_SCORES, DriftReport, MetricShift, find_drift
from ..drift.units import format_value
from .drift_accept import accept

if TYPE_CHECKING:
    from ...queries.store.protocol import StoreClient

EXIT_DRIFT, EXIT_INSUFFICIENT = 3, 4
_MEANS = {"latency": " (geometric mean)", "ttft": " (geometric mean)", "cost": " a call", "error_rate": " of the calls"}


@click.group(invoke_without_command=True)
@click.option("--metric", default="", help=f"Only this evaluation, or {', '.join(USAGE)}.")
@click.option("--by", default="", help=f"Also compare the values of a dimension: {', '.join(DIMENSIONS)}.")
@click.option("--since", "since", default="7d", show_default=True, help="Length of the period: 90m, 24h, 7d, 2w.")
@click.option("--until", default=None, type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]))
@project_option
@click.option("--service", default="", help="Only this service.")
@click.option("--environment", default="", help="Only this environment.")
@click.option("--alpha", default=0.05, show_default=True, type=click.FloatRange(0, 0.5, min_open=True))
@store_option
@click.option(
    "--learn-topics",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Learn topics from the inputs of --since, write them here.",
)
@click.option(
    "--embedder", default="local", show_default=True, help="With --learn-topics: local, or a model of OPENAI_BASE_URL."
)
@format_option
@click.pass_context
def drift(
    ctx: click.Context,
    /,
    *,
    since: str,
    until: Any,
    dsn: str | None,
    format_: str,
    learn_topics: Path | None,
    embedder: str,
    **options: Any,
) -> None:
    """What moved, since when, how sure, in which segment, what changed then, and the traces to read first.

    Compares the period with its reference: the 28 days before, or what was accepted last. Exit codes: 0 nothing moved, 3 drift, 4 too few scores.
    """
    if ctx.invoked_subcommand:
        return
    with connect(dsn) as store, refusals_name(store, options["project"]):
        if learn_topics is not None:
            _learn(store, parse_duration(since, name="--since"), learn_topics, embedder, options)
            return
        report = find_drift(
            store,
            since=parse_duration(since, name="--since"),
            until=until.replace(tzinfo=UTC) if until else None,
            usage=True,
            **options,
        )
        ends = {"to": f"{report.until:%Y-%m-%dT%H:%M:%S}", "from": f"{report.since:%Y-%m-%dT%H:%M:%S}"}
        named = {name: options[name] for name in ("metric", "by", "project")}
        if report.verdict == "insufficient_data":
            click.echo(f"read {store.described}, project {options['project']!r}", err=True)
        point_to(store, "/drift", **named, **(ends if until else {"since": since}))
    if format_ == "table":
        click.echo("\n".join(_report_lines(report)))
    elif format_ == "json":
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n")
    else:
        render(_as_rows(report), format_)
    ctx.exit({"drift": EXIT_DRIFT, "insufficient_data": EXIT_INSUFFICIENT}.get(report.verdict, 0))


def _learn(store: StoreClient, since: timedelta, path: Path, embedder: str, options: dict[str, Any]) -> None:
    from ..builtin.topics import embedder_of, inputs_of, learn_topics

    scope = {name: options[name] for name in ("project", "service", "environment")}
    texts = inputs_of(store, int(since.total_seconds()), **scope)
    topics = asyncio.run(learn_topics(texts, embedder_of(embedder)))
    topics.save(path)
    click.echo(f"{len(topics.names)} topics of {topics.learned_from} different inputs in {path}:", err=True)
    click.echo("\n".join(f"{number:02d} {name}" for number, name in enumerate(topics.names, start=1)))
    click.echo(f'name them online with evaluators = ["module:TOPICS"], TOPICS = InputTopic({str(path)!r})', err=True)


def _as_rows(report: DriftReport) -> Result:
    columns = [name for name in MetricShift.__struct_fields__ if name != "traces"]
    return Result(
        columns=columns,
        types=["String"] * len(columns),
        rows=[tuple(getattr(move, name) for name in columns) for move in report.moves],
    )


def _report_lines(report: DriftReport) -> list[str]:
    groups = _by_metric(report.moves)
    headline = {
        "drift": f"DRIFT: {', '.join(f'{group[0].metric} {_verb(group[0])}' for group in groups)}",
        "stable": "No drift found",
        "insufficient_data": f"Too few scores to tell: at least {MIN_SCORES} of a metric are needed in the period and before it",
    }[report.verdict]
    lines = [
        f"{headline}.",
        (
            f"{report.since:%Y-%m-%d %H:%M} to {report.until:%Y-%m-%d %H:%M} UTC, compared with the time from "
            f"{report.baseline_from:%Y-%m-%d %H:%M} on, in windows of {_length(report.window_s)}."
        ),
    ]
    for together in groups:
        lines += ["", *_move(together)]
    if report.changes:
        lines += ["", "What changed in the application, nearest to the drift first:"]
        lines += [f"  {_change(change, _begun(report))}" for change in _nearest(report)[:8]]
    elif report.moves:
        lines += [
            "",
            "No new prompt, model, tool set, parameter or service was seen: look at the inputs and the world.",
        ]
    if report.inputs:
        lines += ["", "What changed in the inputs (tells why, raises no alarm):"]
        lines += [f"  {text}" for text in report.inputs]
    lines += ["", "Compared:"]
    lines += [_compared(row, report.thin) for row in report.scores] or ["  nothing at all"]
    if not any(row["evaluator_version"] for row in report.scores):
        lines.append("  no scores: rules in [evaluation] or `evalspan score` make them")
    return lines + [f"Note: {note}" for note in report.notes]


def _verb(move: MetricShift) -> str:
    return "fell" if move.direction == "decrease" else "rose"


def _begun(report: DriftReport) -> datetime | None:
    return next((move.since for move in report.moves if move.since), None)


def _by_metric(moves: Sequence[MetricShift]) -> list[list[MetricShift]]:
    """Findings about the same score and direction together, the first of them leading."""
    grouped: dict[tuple[str, str], list[MetricShift]] = {}
    for move in moves:
        grouped.setdefault((move.metric, move.direction), []).append(move)
    return list(grouped.values())


def _nearest(report: DriftReport) -> list[dict[str, Any]]:
    """New things first, the ones that began nearest to the first finding's date before the others."""
    begun = _begun(report)
    if begun is None:
        return report.changes
    return sorted(report.changes, key=lambda change: (not change["is_new"], abs(change["first_seen"] - begun)))


def _compared(row: dict[str, Any], thin: Sequence[str]) -> str:
    version = f" (version {row['evaluator_version']})" if row["evaluator_version"] else ""
    text = f"  {row['metric']}{version}: {row['n_before']} before, {row['n_after']} after"
    if row["unscored_after"]:
        text += f", {row['unscored_after']:.1%} not evaluated"
    return text + (" -- too few to tell" if row["metric"] in thin else "")


def _move(together: Sequence[MetricShift]) -> list[str]:
    first = together[0]
    what = _MEANS.get(first.metric, "") if first.of == "usage" else ""
    lines = [
        f"{first.metric} {_verb(first)} from {_number(first, first.mean_before)} to {_mean(first)}{what}{_where(first)}"
    ]
    if first.since:
        lines.append(f"  since       about {first.since:%Y-%m-%d %H:%M} UTC")
    lines.append(f"  how sure    {first.certainty}; {first.n_before} before, {first.n_after} after")
    for label, move in zip(["  where     ", *["            "] * len(together)], together[1:], strict=False):
        lines.append(
            f"{label}  {move.dimension} = {move.value or '(none)'}: {_mean(move)}, n {move.n_after}; {move.certainty}"
        )
    if first.traces:
        lines.append("  read first  (`evalspan traces ID` shows one)")
        lines += [
            f"    {row['trace_id']}  {_number(first, row['score'])}  {_short(row)}".rstrip() for row in first.traces
        ]
    return lines


def _number(move: MetricShift, value: float) -> str:
    return format_value(move.of, move.metric, value)


def _mean(move: MetricShift) -> str:
    low, high = (_number(move, value) for value in (move.low, move.high))
    return f"{_number(move, move.mean_after)} [{low}, {high}]"


def _where(move: MetricShift) -> str:
    return f" where {move.dimension} = {move.value or '(none)'}" if move.dimension else ""


def _change(change: dict[str, Any], begun: datetime | None) -> str:
    share = f"{change['share_before']:.0%} of the calls before, {change['share_after']:.0%} after"
    if not change["is_new"]:
        return f"{change['dimension']} {change['value']}: {share}"
    replaced = f", where {change['previous']} was" if change["previous"] else ""
    when = f"{change['first_seen']:%Y-%m-%d %H:%M} UTC{_apart(change['first_seen'], begun)}"
    return f"new {change['dimension']} {change['value']}{replaced}: first seen {when}, {share} (trace {change['trace_id']})"


def _apart(seen: datetime, begun: datetime | None) -> str:
    """How far from the beginning of the drift, which is only known to the window."""
    if begun is None:
        return ""
    hours = (seen - begun).total_seconds() / 3600
    size = f"{abs(hours) / 24:.0f} days" if abs(hours) >= 48 else f"{abs(hours):.0f} hours"
    return f" ({size} {'after' if hours > 0 else 'before'} the drift began)" if abs(hours) >= 1 else " (when it began)"


def _short(row: dict[str, Any]) -> str:
    text = " ".join(str(row["explanation"] or row["output"] or row["label"]).split())
    return text if len(text) <= 90 else text[:89] + "…"


def _length(seconds: int) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


drift.add_command(accept)
