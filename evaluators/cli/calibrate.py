"""`evalspan calibrate`: an evaluator against human labels, from a file or from the annotation tables."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from ...errors import UsageError
from ...queries.cli.options import project_option, store_option
from ..calibration.calibrate import MIN_LABELS, Calibration, Pair, Rate, calibrate, corrected_rate
from ..calibration.label_files import good_of, read_labels
from ..datasets.records import parse_columns
from .dataset_options import map_option

EXIT = {"may_gate": 0, "may_not_gate": 3, "too_few_labels": 4}


@click.command("calibrate")
@click.option("--metric", default="", help="Evaluation name whose labels and scores are in the store.")
@click.option("--version", default="", help="Evaluator version; the newest without.")
@click.option(
    "--labels", type=click.Path(path_type=Path), help="A file (JSONL, CSV, Excel, Parquet) instead of the store."
)
@map_option
@click.option(
    "--good-from", type=float, help="A number as label is good from here on; words such as pass stay verdicts."
)
@click.option("--direction", type=click.Choice(["higher", "lower"]), default="higher", show_default=True)
@click.option("--target-precision", type=click.FloatRange(0, 1, min_open=True), help="Choose the threshold for this.")
@click.option("--at-least", type=click.FloatRange(0, 1), default=0.6, show_default=True, help="For the verdict.")
@click.option("--min-labels", type=click.IntRange(1), default=MIN_LABELS, show_default=True)
@project_option
@store_option
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.pass_context
def calibrate_command(
    ctx: click.Context,
    /,
    *,
    metric: str,
    version: str,
    labels: Path | None,
    columns: tuple[str, ...],
    good_from: float | None,
    project: str,
    dsn: str | None,
    format_: str,
    **rules: Any,
) -> None:
    """Calibrate an evaluator against human labels: may it gate a deployment?

    Confusion, precision, recall, specificity and F1 with intervals, kappas, threshold. Positive is a failure. It may
    gate when all three lower bounds reach --at-least and it beats chance. Exit codes: 0 it may gate, 3 it may not, 4 too few labels to tell.
    """
    if bool(metric) == bool(labels):
        raise UsageError("Say which labels: --metric NAME of the store, or --labels FILE.")
    corrected = None
    if labels:
        pairs = read_labels(labels, good_from, parse_columns(columns))
    else:
        pairs, corrected = _stored(dsn, project, metric, version, good_from)
    report = calibrate(pairs, **rules)
    if format_ == "json":
        sys.stdout.write(
            msgspec.json.encode({**msgspec.to_builtins(report), "corrected_rate": corrected}).decode() + "\n"
        )
    else:
        click.echo("\n".join(_report_lines(report, corrected)))
    ctx.exit(EXIT[report.verdict])


def _stored(
    dsn: str | None, project: str, metric: str, version: str, good_from: float | None
) -> tuple[list[Pair], dict[str, Any] | None]:
    from ...queries import catalog
    from ...queries.cli.output import say_nothing
    from ...queries.store.client import connect

    verdicts = {"pass": True, "fail": False}
    store = connect(dsn)
    try:
        rows = catalog.get("labelled_pairs").run(store, project=project, metric=metric, version=version).dicts()
        corrected = catalog.get("corrected_mean").run(store, project=project, metric=metric).dicts()
        if not rows:
            say_nothing(f"labels of {metric!r}", store, project)
    finally:
        store.close()
    pairs = [
        Pair(
            item=f"{row['trace_id']}/{row['span_id']}",
            rater=row["author"],
            label=row["label"],
            good=good_of(row["label"], _stored_verdict(row["label"], verdicts.get(row["good"])), good_from),
            score=row["score"],
            passed=verdicts.get(row["passed"]),
            at=row["labelled_at"],
        )
        for row in rows
    ]
    enough = [row for row in corrected if row["labels"] >= 40]
    return pairs, enough[0] if enough else None


def _stored_verdict(label: float, verdict: bool | None) -> bool | None:
    """The verdict where that is all the person gave; beside a grade it is only what the grade was taken for."""
    return verdict if verdict is not None and label == float(verdict) else None


def _report_lines(report: Calibration, corrected: dict[str, Any] | None) -> list[str]:
    c = report.confusion
    lines = [
        f"{report.verdict.replace('_', ' ').upper()}: {'; '.join(report.reasons)}.",
        f"{report.labels} labels of {report.items} items by {report.raters} people, {report.unscored} items without a score.",
        "",
        f"{'':24}{'people: fail':>14}{'people: good':>14}",
        f"{'evaluator: fail':24}{c.caught:>14}{c.false_alarms:>14}",
        f"{'evaluator: pass':24}{c.missed:>14}{c.cleared:>14}",
        "",
    ]
    lines += [f"{name:22} {_rate(rate)}" for name, rate in _rates(report)]
    lines += [
        f"{name:22} {value:.3f}"
        for name, value in (
            ("kappa", report.kappa),
            ("kappa, quadratic", report.kappa_quadratic),
            ("alpha among people", report.alpha),
        )
        if value is not None
    ]
    if report.threshold is not None:
        lines.append(f"{'threshold':22} {report.threshold:.4g} by {report.threshold_rule}")
    if report.threshold_holds is not None:
        held = report.threshold_holds
        lines.append(f"{'  on other items':22} precision {_rate(held.precision)}, recall {_rate(held.recall)}")
    if corrected:
        lines.append(
            f"{'corrected mean':22} {corrected['mean']:.3f} [{corrected['low']:.3f}, {corrected['high']:.3f}] by PPI++ from "
            f"{corrected['labels']} labels; the evaluator alone says {corrected['evaluator_mean']:.3f}"
        )
    lines.append(f"{'drift':22} {report.drift}")
    if report.age_days is not None:
        lines.append(f"{'newest label':22} {report.age_days:.0f} days old")
    return lines + [f"Note: {note}" for note in report.notes]


def _rates(report: Calibration) -> list[tuple[str, Rate]]:
    return [
        ("precision", report.precision),
        ("recall", report.recall),
        ("specificity", report.specificity),
        ("F1", report.f1),
        ("agreement", report.agreement),
    ]


def _rate(rate: Rate) -> str:
    if rate.value is None:
        return "unknown (n 0)"
    return f"{rate.value:.3f} [{rate.interval.low:.3f}, {rate.interval.high:.3f}] (n {rate.n})"


__all__ = ["calibrate_command", "corrected_rate", "read_labels"]
