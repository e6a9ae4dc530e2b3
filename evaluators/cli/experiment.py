"""`evalspan experiment`: run a dataset through a target under a suite, list what was run, compare two runs."""

from __future__ import annotations

from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...errors import UsageError
from ...queries.cli.options import project_option, store_option
from .agent_options import agent_options, case_settings
from .cache_options import cache_from, cache_options
from .dataset_options import PARTITION_NAMES, format_option, show

if TYPE_CHECKING:
    from ..experiments.compare import Comparison
    from ..experiments.record import Experiment


@click.group()
def experiment() -> None:
    """Experiments are records of runs: files, and rows in the store when one is named."""


@experiment.command()
@click.option("--dataset", "dataset_name", required=True, metavar="FILE|NAME")
@click.option("--target", required=True, metavar="MODULE:CALLABLE|URL|FILE")
@click.option("--suite", required=True, metavar="MODULE:EVALUATORS")
@click.option("--name", default="", help="Under which the run is found again; default: the target.")
@click.option("--partition", "partitions", multiple=True, type=click.Choice(PARTITION_NAMES))
@click.option("--repeats", default=1, show_default=True, type=click.IntRange(1, 100), help="Answers per case.")
@click.option("--model", default="", help="Which model answers, for the record.")
@click.option("--prompt-version", default="")
@click.option("--concurrency", default=5, show_default=True, type=click.IntRange(1, 1000))
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.001), help="Seconds; default 60, judges their own.")
@click.option(
    "--budget", default=1200.0, show_default=True, type=click.FloatRange(0.001), help="Seconds for all cases."
)
@agent_options
@cache_options
@click.option("--out", default="", metavar="FILE", help="Write the record: a baseline for the gate.")
@format_option
@project_option
@store_option
def run(format_: str, **options: Any) -> None:
    """Run the cases and record what came out. Says nothing about good enough: that is the gate's.

    A run that was interrupted does not pay again for what its models answered: that comes from the cache.
    """
    from ..experiments.stdout_guard import data_stdout

    with data_stdout() as out, cache_from(options):
        record = _run(options)
        with redirect_stdout(out):
            _keep(record, options)
            _print_run(record, format_)
            out.flush()


def _run(options: dict[str, Any]) -> Experiment:
    from ...queries.store.config import named_store
    from ..experiments.identity import record_of
    from ..experiments.run import RunSettings, run_cases
    from ..experiments.target import load_target
    from ..gate.run import importing
    from ..loading import load_suite
    from ..reports.progress import case_progress
    from .gate import load_dataset

    options["dsn"] = named_store(options["dsn"])
    found = load_dataset(options["dataset_name"], options["dsn"], options["project"])
    with importing():
        target = load_target(options["target"], model=options["model"], prompt_version=options["prompt_version"])
        suite = load_suite(options["suite"])
    chosen = options["partitions"] or PARTITION_NAMES
    examples = [one for one in found if one.partition in chosen]
    if not examples:
        raise UsageError(
            f"no case of {', '.join(chosen)} in {options['dataset_name']}", hint=f"it holds {found.stats()}"
        )
    settings = RunSettings(
        concurrency=options["concurrency"],
        timeout_s=options["timeout_s"] or 60.0,
        score_timeout_s=options["timeout_s"],
        repeats=options["repeats"],
        golden_budget_s=options["budget"],
        budget_s=options["budget"],
        case=case_settings(options),
    )
    with case_progress(len(examples) * settings.repeats, "experiment") as advance:
        results = run_cases(examples, target, suite, settings, progress=advance)
    return record_of(found, target, suite, results, name=options["name"])


@experiment.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1))
@format_option
@project_option
@store_option
def list_(limit: int, format_: str, project: str, dsn: str | None) -> None:
    """List the stored experiments, newest first."""
    from ...queries.cli.output import render, say_nothing
    from ...queries.experiments import LIST
    from ...queries.store.client import connect

    with connect(dsn) as store:
        found = store.query(LIST, {"project": project, "limit": limit})
        render(found, format_)
        if not found.rows:
            say_nothing("experiments", store, project)


@experiment.command()
@click.argument("baseline")
@click.argument("candidate")
@click.option("--partition", "partitions", multiple=True, type=click.Choice(PARTITION_NAMES))
@click.option("--margin", "margins", multiple=True, metavar="[METRIC=]X", help="How much worse does not matter.")
@format_option
@project_option
@store_option
@click.pass_context
def compare(
    ctx: click.Context,
    baseline: str,
    candidate: str,
    partitions: tuple[str, ...],
    margins: tuple[str, ...],
    format_: str,
    project: str,
    dsn: str | None,
) -> None:
    """Compare two runs case by case. Exit 0 no worse, 3 worse, 4 not enough data to tell."""
    from ...queries.store.config import named_store
    from ..experiments.compare import compare_runs, stale_reasons
    from ..experiments.stored import find_experiment
    from .gate import parse_margins

    location = named_store(dsn)
    old = find_experiment(baseline, dsn=location, project=project)
    new = find_experiment(candidate, dsn=location, project=project)
    chosen = partitions or PARTITION_NAMES
    compared = compare_runs(
        [one for one in old.results if one.partition in chosen],
        [one for one in new.results if one.partition in chosen],
        new.suite,
        parse_margins(margins),
    )
    stale = stale_reasons(old, new)
    _print_comparison(compared, format_)
    if location and not (Path(baseline).is_file() and Path(candidate).is_file()):
        from ...queries.cli.links import point_to
        from ...queries.store.client import connect

        with connect(location) as store:
            point_to(store, "/experiments", project=project, compare=f"{old.experiment_id},{new.experiment_id}")
    for reason in stale:
        click.echo(f"not comparable: {reason}", err=True)
    deciding = [one.conclusion for one in compared if one.margin is not None]
    if not compared:
        shared = len({one.example_id for one in old.results} & {one.example_id for one in new.results})
        click.echo(f"nothing to compare: no metric has results of two of the {shared} cases in both runs", err=True)
    elif not deciding:
        click.echo("nothing decides: no metric here has a margin; --margin METRIC=X gives it one", err=True)
    if "regression" in deciding:
        ctx.exit(3)
    ctx.exit(4 if stale or not deciding or "inconclusive" in deciding else 0)


def _keep(record: Experiment, options: dict[str, Any]) -> None:
    if options["out"]:
        record.save(options["out"])
        click.echo(f"recorded in {options['out']}", err=True)
    if options["dsn"]:
        from ...queries.cli.links import point_to
        from ...queries.store.client import connect
        from ..experiments.stored import save_to_store

        with connect(options["dsn"], create=True) as store:
            save_to_store(store, record, project=options["project"])
            point_to(store, "/experiments", project=options["project"])
        click.echo(f"stored as experiment {record.experiment_id}", err=True)


def _print_run(record: Experiment, format_: str) -> None:
    from ..gate.decide import pass_means

    rows: list[tuple[Any, ...]] = []
    for partition in dict.fromkeys(result.partition for result in record.results):
        results = record.of(partition)
        passed, unmeasured = (sum(one.passed is what for one in results) for what in (True, None))
        rows.append((record.experiment_id, partition, len(results), passed, unmeasured, passed / len(results)))
    show(("experiment_id", "partition", "answers", "passed", "unmeasured", "pass_rate"), rows, format_)
    click.echo(f"a case passes when: {pass_means(record)}", err=True)
    spent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in list(record.profile.items())[:5])
    click.echo(f"time, summed over the cases: {spent}", err=True)
    if record.over_budget:
        click.echo(f"over the time budget: {len(record.over_budget)} cases were not run", err=True)


def _print_comparison(compared: list[Comparison], format_: str) -> None:
    import msgspec

    if format_ in ("json", "jsonl"):
        rows = [msgspec.json.encode(one) for one in compared]
        whole = b"[" + b",".join(rows) + b"]"
        click.echo((msgspec.json.format(whole) if format_ == "json" else b"\n".join(rows)).decode())
        return
    show(
        (
            "metric",
            "n",
            "baseline",
            "candidate",
            "difference",
            "low",
            "high",
            "margin",
            "mcnemar_p",
            "mde",
            "conclusion",
            "why",
        ),
        [
            (
                one.metric,
                one.n,
                one.baseline_mean,
                one.candidate_mean,
                one.difference,
                *one.interval,
                one.margin,
                one.mcnemar_p,
                one.minimum_detectable_effect,
                one.conclusion,
                one.reason,
            )
            for one in compared
        ],
        format_,
    )
    for one in compared[:1]:
        for name, cases in (("worse", one.worse_cases), ("better", one.better_cases)):
            if cases:
                click.echo(
                    f"{one.metric}, {name}: {', '.join(cases[:20])}{' ...' if len(cases) > 20 else ''}", err=True
                )
