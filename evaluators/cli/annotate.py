"""`evalspan annotate`: label the week's calls by hot-key, blind, and see how far people and evaluator agree."""

from __future__ import annotations

import getpass
import sys
from typing import Any

import click
import msgspec

from ...errors import UsageError
from ...queries.cli.options import project_option, store_option
from ...queries.messages import lines_of
from ...queries.store.client import connect
from ..calibration.annotation import GOOD_FROM, WEEKLY, Draw, Scale, agreement_report, draw, label_row

_KEYS = {
    "pass-fail": "p pass, f fail",
    "1-5": f"1 poor ... 5 excellent ({GOOD_FROM} and 5 pass)",
}
_MORE = ", n note first, s skip, u undo, q quit"


@click.command()
@click.option("--metric", default="", help="The evaluation that is labelled, e.g. faithfulness.")
@click.option("--author", default="", help="Who labels.  [the user's name]")
@click.option("--scale", type=click.Choice(["pass-fail", "1-5"]), default="pass-fail", show_default=True)
@click.option("--week", default="", help="this, last, or 2026-W47.  [the last whole week that has calls]")
@click.option("--count", type=click.IntRange(1), default=WEEKLY, show_default=True, help="Calls a week.")
@click.option("--report", is_flag=True, help="Show agreement, its age and trend instead.")
@click.option("--list", "list_", is_flag=True, help="Print the draw as JSON lines instead, still blind.")
@project_option
@store_option
@click.option("--no-input", is_flag=True, help="Never ask.")
def annotate(
    metric: str,
    author: str,
    scale: Scale,
    report: bool,
    list_: bool,
    project: str,
    dsn: str | None,
    no_input: bool,
    **draw_by: Any,
) -> None:
    """Label a random sample of the week's calls, without seeing what the evaluator said.

    The draw is by probability and the same for everybody; labels become evaluations with source human, and correct
    the evaluator's rates from 40 labels on.
    """
    store = connect(dsn)
    try:
        if report:
            click.echo("\n".join(_report_lines(agreement_report(store, metric=metric, project=project))))
            return
        if not metric:
            raise UsageError("Say what is labelled: --metric NAME.", hint="The name of the evaluator it calibrates.")
        drawn = draw(store, metric=metric, author=author or getpass.getuser(), project=project, **draw_by)
        if not drawn.calls:
            raise UsageError(
                f"There are no calls in the week of {drawn.since:%Y-%m-%d} in {store.described}, project {project!r}.",
                hint="--week this, or another one.",
            )
        if list_:
            _list(drawn)
        elif no_input or (not sys.stdin.isatty() and not _fed()):
            raise UsageError("Labelling asks for keys, and there is no terminal.", hint="--list prints the draw.")
        else:
            _label(store, drawn, scale)
    finally:
        store.close()


def _fed() -> bool:
    """Whether keys are piped in, as in `printf pfp | evalspan annotate ...`."""
    import select

    try:
        return bool(select.select([sys.stdin], [], [], 0)[0])
    except (OSError, ValueError):
        return True  # a stream without a descriptor has what it has


def _list(drawn: Draw) -> None:
    for call in drawn.calls:
        shown = {
            key: call[key] for key in ("trace_id", "span_id", "start_time", "input", "output", "probability", "done")
        }
        sys.stdout.write(msgspec.json.encode(shown).decode() + "\n")


def _label(store: Any, drawn: Draw, scale: Scale) -> None:
    waiting, labelled = drawn.open, 0
    click.echo(
        f"{drawn.metric}, week {drawn.week}: {len(waiting)} of {len(drawn.calls)} to label, drawn from {drawn.population} calls "
        f"(probability {float(drawn.calls[0]['probability']):.3g}), as {drawn.author}",
        err=True,
    )
    place, note = 0, ""
    while place < len(waiting):
        _show(waiting[place], place + 1, len(waiting), scale)
        key = _key()
        if key == "q":
            break
        if key == "s":
            place += 1
        elif key == "u":
            place = max(0, place - 1)
        elif key == "n":
            note = click.prompt("note", err=True)
        elif (answer := _answer(key, scale)) is not None:
            score, passed = answer
            store.insert("evaluations", [label_row(drawn, waiting[place], score=score, passed=passed, note=note)])
            click.echo(f"  {'pass' if passed else 'fail'}", err=True)
            place, labelled, note = place + 1, labelled + 1, ""
        else:
            click.echo(f"  {key!r} is none of the keys", err=True)
    click.echo(f"{labelled} labels kept; `evalspan calibrate --metric {drawn.metric}` uses them", err=True)


def _key() -> str:
    """One key; the end of the input is q."""
    try:
        if sys.stdin.isatty():
            return click.getchar().lower()
        return sys.stdin.read(1).lower().strip() or "q"
    except EOFError:
        return "q"


def _answer(key: str, scale: Scale) -> tuple[float, bool] | None:
    if scale == "pass-fail":
        return {"p": (1.0, True), "f": (0.0, False)}.get(key)
    return (float(key), int(key) >= GOOD_FROM) if key in "12345" and key else None


def _show(call: dict[str, Any], place: int, of: int, scale: Scale) -> None:
    click.echo(f"\n{click.style(f'{place}/{of}', bold=True)}", err=True)
    for column in ("input", "output"):
        for role, text in lines_of(call[column]):
            click.echo(f"{click.style(role or column, bold=True)}: {text}", err=True)
    click.echo(click.style(_KEYS[scale] + _MORE, dim=True), err=True)


def _report_lines(report: dict[str, Any]) -> list[str]:
    lines = [
        f"{row['metric']} {row['evaluator_version']}, week of {row['window_start']:%Y-%m-%d}: {row['pairs']} calls labelled by "
        f"{row['people']}, agreement {_number(row['agreement'])}, kappa {_number(row['kappa'])}, evaluator minus people "
        f"{row['difference']:+.3f}"
        for row in report["weeks"]
    ] or ["No labels beside scores yet: `evalspan annotate --metric NAME`."]
    newest = {row["metric"]: row["age_days"] for row in report["weeks"]}
    lines += [
        f"{metric}: the newest label is {age:.0f} days old" + (" -- repeat every quarter" if age > 91 else "")
        for metric, age in newest.items()
    ]
    lines += [
        f"{row['metric']}: {row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}], corrected by PPI++ from {row['labels']} labels; "
        f"the evaluator alone says {row['evaluator_mean']:.3f}"
        for row in report["corrected"]
    ]
    return lines + [f"not corrected yet, {text}" for text in report["not_yet"]]


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
