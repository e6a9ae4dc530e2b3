"""`evalspan traces`: the newest traces as a table, and one as a tree with its messages and scores."""

from __future__ import annotations

import sys
from typing import Any

import click
import msgspec

from .. import traces as reading
from ..durations import format_duration, parse_duration
from ..messages import lines_of
from ..plain_json import plain_json
from ..store.client import connect
from ..store.result import Result
from ..trace_tree import Row, Span, TraceTree, begin_ns, terminal_rows
from .links import point_to
from .options import any_project_option, store_option
from .output import ListsByDefault, format_option, refusals_name, render

BAR = 24


@click.group(cls=ListsByDefault)
def traces() -> None:
    """List traces and show one as a tree."""


@traces.command("list")
@click.option("--since", default="24h", show_default=True, help="How far back: 30m, 24h, 7d.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many traces.")
@any_project_option
@click.option("--service", default="", help="Only this service.")
@click.option("--model", default="", help="Only traces that asked this model.")
@click.option("--status", type=click.Choice(["", "OK", "ERROR", "UNSET"]), default="", help="Only this status.")
@click.option("--session", default="", help="Only this conversation.")
@click.option("--user", default="", help="Only this user.")
@click.option("--failed", default="", metavar="EVALUATOR", help="Only traces that this evaluator failed.")
@click.option("-q", "--text", "q", default="", help="Only traces with this text in input or output.")
@format_option
@store_option
def list_(since: str, limit: int, dsn: str | None, format_: str, **filters: Any) -> None:
    """The newest traces with their totals."""
    with connect(dsn) as opened:
        found = reading.latest(opened, since=parse_duration(since, name="--since"), rows=limit, filters=filters)
        point_to(opened, "/traces", since=since, **filters)
    if format_ != "table":
        render(found, format_)
        return
    if not found.rows:
        asked = ", ".join(f"{name} {value!r}" for name, value in filters.items() if value)
        of = f" with {asked}" if asked else ""
        click.echo(f"no traces{of} in the last {since} in {opened.described}; --since 30d looks further back", err=True)
        return
    render(_with_short_texts(found), "table")


@traces.command()
@click.argument("trace_id")
@click.option("--messages/--no-messages", default=True, help="With what was said.  [default: with]")
@click.option("--format", "format_", type=click.Choice(["tree", "json"]), default="tree", show_default=True)
@store_option
def show(trace_id: str, messages: bool, format_: str, dsn: str | None) -> None:
    """Show one trace; the beginning of its id is enough."""
    with connect(dsn) as opened:
        with refusals_name(opened):
            trace = reading.read(opened, trace_id)
        point_to(opened, f"/traces/{trace.trace_id}")
    if format_ == "json":
        whole = {
            "trace_id": trace.trace_id,
            "spans": [plain_json(trace.tree.spans[span_id]) for span_id in trace.tree.order],
            "evaluations": [plain_json(row) for row in trace.evaluations],
        }
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(whole), indent=2).decode() + "\n")
        return
    click.echo(f"trace {trace.trace_id}  {trace.start:%Y-%m-%d %H:%M:%S} UTC  {format_duration(trace.duration_ns)}")
    if len(trace.tree.spans) >= reading.MAX_SPANS:
        click.echo(f"only its first {reading.MAX_SPANS:,} spans are shown; `evalspan sql` reads all", err=True)
    scores: dict[str, list[str]] = {}
    for row in trace.evaluations:
        scores.setdefault(row["span_id"], []).append(_score(row))
        for span_id in () if row["span_id"] else _steps_meant(row):
            scores.setdefault(span_id, []).append(click.style(f"◂ {row['name']}", fg="yellow"))
    if "" in scores:
        click.echo("  ".join(scores[""]))
    for node in terminal_rows(trace.tree):
        _echo_span(node, trace.tree, scores.get(node.span["span_id"], []), messages)


def _echo_span(node: Row, tree: TraceTree, scores: list[str], messages: bool) -> None:
    row = node.span
    facts = [format_duration(row["duration_ns"])]
    if row["request_model"]:
        facts.append(row["request_model"])
    if row["input_tokens"] or row["output_tokens"]:
        facts.append(f"{row['input_tokens'] or 0:,}+{row['output_tokens'] or 0:,} tok")
    if row["cost_usd"] is not None:
        facts.append(_dollars(row["cost_usd"]))
    if row["status"] == "ERROR":
        facts.append(click.style(f"ERROR {row['error_type'] or row['status_message'][:80]}", fg="red"))
    name = click.style(f"{node.rails}{row['name']}", bold=True)
    width = max(1, 44 - len(node.rails) - len(row["name"]))
    click.echo(f"{name}{' ' * width}{_bar(row, tree)}  {'  '.join([*facts, *scores])}")
    if messages:
        for label, text in _message_texts(row):
            first, *rest = text.strip().splitlines() or [""]
            click.echo(f"{node.below}   {label:<10} {first}")
            for line in rest:
                click.echo(f"{node.below}   {'':<10} {line}")


def _bar(row: Span, tree: TraceTree) -> str:
    total = max(tree.duration_ns, 1)
    left = min(int((begin_ns(row) - tree.start_ns) / total * BAR), BAR - 1)
    length: int = max(1, round(row["duration_ns"] / total * BAR))
    return ("·" * left + "█" * length)[:BAR].ljust(BAR, "·")


def _message_texts(row: dict[str, Any]) -> list[tuple[str, str]]:
    return [(role or label, text) for label in ("input", "output") for role, text in lines_of(row[label])]


def _steps_meant(row: dict[str, Any]) -> list[str]:
    """The spans that a score of the whole trace speaks of: its details name them."""
    try:
        return msgspec.json.decode(row["metadata"].get("span_ids", "[]"), type=list[str])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return []


def _score(row: dict[str, Any]) -> str:
    parts = [row["name"]]
    if row["score"] is not None:
        parts.append(f"{row['score']:.2f}")
    if row["label"]:
        parts.append(row["label"])
    mark = {"pass": "✓", "fail": "✗"}.get(row["passed"], "unscored" if row["error"] else "")
    return " ".join([*parts, mark]).rstrip()


def _dollars(cost: float) -> str:
    return f"${cost:.4f}" if cost >= 0.001 else f"${cost:.6f}"


def _with_short_texts(found: Result) -> Result:
    rows = []
    for row in found.dicts():
        cost = _dollars(row["cost_usd"]) if row["cost_usd"] else ""
        name = row["name"] + (f" ✗{row['errors']}" if row["errors"] else "")
        rows.append(
            (
                f"{row['start_time']:%m-%d %H:%M:%S}",
                name,
                row["service"],
                row["input"][:60],
                format_duration(row["duration_ns"]),
                row["spans"],
                row["tokens"],
                cost,
                row["trace_id"],
            )
        )
    return Result(
        columns=["TIME", "SPAN", "SERVICE", "INPUT", "DURATION", "SPANS", "TOKENS", "COST", "TRACE"],
        types=["String"] * 4 + ["String", "UInt64", "UInt64", "String", "String"],
        rows=rows,
    )
