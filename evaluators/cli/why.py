"""`evalspan why METRIC`: what moved, how much of it is mix, what fits as its cause, and what to read first."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from ...queries.cli.links import point_to
from ...queries.cli.options import project_option, store_option
from ...queries.cli.output import format_option, refusals_name, render
from ...queries.durations import parse_duration
from ...queries.store.client import Result, connect
from ..drift.candidates import Candidate
from ..drift.finding import Effect, Finding
from ..drift.why import explain_shift

_SHOWN_PARTS = 5
NO_VALUE = "(none)"


@click.command()
@click.argument("metric")
@click.option(
    "--since", default="7d", show_default=True, help="Length of the period in which the change is looked for."
)
@click.option(
    "--changed",
    default=None,
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]),
    help="The moment of the change (UTC).  [what the e-detector finds]",
)
@click.option("--until", default=None, type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]))
@click.option("--service", default="", help="Only this service.")
@click.option("--environment", default="", help="Only this environment.")
@project_option
@store_option
@format_option
def why(
    metric: str,
    since: str,
    changed: datetime | None,
    until: datetime | None,
    dsn: str | None,
    format_: str,
    **options: Any,
) -> None:
    """Say why METRIC moved: a decomposition into mix and within, and the changes that fit, the likeliest first."""
    with connect(dsn) as store, refusals_name(store, options["project"]):
        found = explain_shift(
            store,
            metric,
            since=parse_duration(since, name="--since"),
            changed=changed.replace(tzinfo=UTC) if changed else None,
            until=until.replace(tzinfo=UTC) if until else None,
            **options,
        )
        point_to(store, "/drift", metric=metric, project=options["project"], since=since)
    if format_ == "table":
        click.echo("\n".join(_lines(found)))
    elif format_ == "json":
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
    else:
        names = Candidate.__struct_fields__
        rows = [tuple(getattr(one, name) for name in names) for one in found.candidates]
        render(Result(list(names), ["String"] * len(names), rows), format_)


def _lines(found: Finding) -> list[str]:
    lines = list(found.sentences)
    for title, effect in (("mix", found.mix), ("within", found.within)):
        lines += ["", f"{title}: {effect.effect:+.4g} [{effect.interval.low:+.4g}, {effect.interval.high:+.4g}]"]
        lines += _parts(effect)
    if found.prompt_diff:
        lines += ["", "The prompt, old and new:", *(f"  {line}" for line in found.prompt_diff)]
    if found.traces:
        lines += ["", "Read first (`evalspan traces show ID`):"]
        lines += [f"  {row['trace_id']}  {row['score']:.4g}" for row in found.traces]
    return lines


def _parts(effect: Effect) -> list[str]:
    return [
        f"  {', '.join(f'{name} {value or NO_VALUE}' for name, value in part.group.items()) or 'all'}: {part.effect:+.4g}"
        f" [{part.interval.low:+.4g}, {part.interval.high:+.4g}], share {part.share_before:.0%} to {part.share_after:.0%},"
        f" mean {part.mean_before:.4g} to {part.mean_after:.4g}"
        for part in effect.parts[:_SHOWN_PARTS]
    ]
