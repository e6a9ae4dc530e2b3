"""`evalspan gate`: the verdict that CI waits for. Exit 0 passed, 3 failed, 4 inconclusive, 2 bad input."""

from __future__ import annotations

import secrets
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...queries.cli.options import project_option
from .agent_options import agent_options, case_settings
from .cache_options import cache_from, cache_options

if TYPE_CHECKING:
    from ...queries.store.config import Location
    from ..datasets import Dataset
    from ..gate.report import GateReport
    from ..gate.run import GateRequest

FORMATS = ("table", "json", "jsonl", "csv", "markdown")
PARTITION_NAMES = ("golden", "regression", "adversarial", "distribution")


@click.command()
@click.option("--dataset", "dataset_name", required=True, metavar="FILE|NAME", help="The cases.")
@click.option("--target", required=True, metavar="MODULE:CALLABLE|URL|FILE", help="What is under test.")
@click.option("--suite", required=True, metavar="MODULE:EVALUATORS", help="The evaluators.")
@click.option("--partition", "partitions", multiple=True, type=click.Choice(PARTITION_NAMES), help="Only these cases.")
@click.option("--baseline", default="", metavar="FILE|EXPERIMENT", help="What the rest must not be worse than.")
@click.option("--margin", "margins", multiple=True, metavar="[METRIC=]X", help="How much worse still passes.")
@click.option("--prompt", "prompts", multiple=True, metavar="FILE", help="Prompts the cases must not occur in.")
@click.option("--training", multiple=True, metavar="FILE", help="Training data the cases must not occur in.")
@click.option(
    "--contamination",
    type=click.Choice(("block", "flag")),
    default="block",
    show_default=True,
    help="What a case does that occurs in one of them.",
)
@click.option("--model", default="", help="Which model answers, for the record.")
@click.option("--prompt-version", default="", help="Which prompt version is under test.")
@click.option("--concurrency", default=5, show_default=True, type=click.IntRange(1, 1000))
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.001), help="Seconds; default 60, judges their own.")
@click.option(
    "--budget", default=1200.0, show_default=True, type=click.FloatRange(0.001), help="Seconds for all cases."
)
@click.option(
    "--golden-budget", default=300.0, show_default=True, type=click.FloatRange(0.001), help="For golden ones."
)
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(1, 50), help="Runs at the threshold.")
@click.option("--max-baseline-age", default=90.0, show_default=True, type=click.FloatRange(0), help="In days.")
@agent_options
@cache_options
@click.option("--store", "dsn", default="", metavar="DSN", help="Also store the run there.")
@project_option
@click.option("--junit", type=click.Path(dir_okay=False), help="Write JUnit XML.")
@click.option("--report", "report_path", type=click.Path(dir_okay=False), help="Write the report: .json or .md.")
@click.option("--format", "format_", type=click.Choice(FORMATS), default="table", show_default=True)
@click.pass_context
def gate(ctx: click.Context, /, **options: Any) -> None:
    """Runs the cases and says passed (exit 0), failed (3) or inconclusive (4); bad input is 2.

    Golden cases must all pass, on a set that two people approved; regression cases must all pass; the others must not
    be worse than --baseline by more than the margin. What is missing, crashed or unmeasured is never a pass.
    """
    from ..experiments.stdout_guard import data_stdout
    from ..gate.run import run_gate
    from ..reports.progress import case_progress

    with data_stdout() as out, cache_from(options):
        request = _request(options)
        with case_progress(len(request.dataset), "gate") as advance:
            report = run_gate(request, advance)
        with redirect_stdout(out):
            _write(report, options)
            if options["dsn"]:
                _store(report, options["dsn"], options["project"])
            out.flush()
    ctx.exit(report.exit_code)


def _request(options: dict[str, Any]) -> GateRequest:
    from ...queries.store.config import named_store
    from ..experiments.run import RunSettings
    from ..experiments.stored import find_experiment
    from ..gate.decide import Policy
    from ..gate.run import GateRequest

    baseline = options["baseline"]
    # Names are looked up in the store of the environment too; writing there takes --store.
    dsn = named_store(options["dsn"])
    project = options["project"]
    return GateRequest(
        dataset=load_dataset(options["dataset_name"], dsn, project),
        target=options["target"],
        suite=options["suite"],
        baseline=find_experiment(baseline, dsn=dsn, project=project) if baseline else None,
        baseline_name=baseline,
        prompts=options["prompts"],
        training=options["training"],
        flag_contamination=options["contamination"] == "flag",
        policy=Policy(
            partitions=options["partitions"],
            margins=parse_margins(options["margins"]),
            max_baseline_age_days=options["max_baseline_age"],
        ),
        settings=RunSettings(
            concurrency=options["concurrency"],
            timeout_s=options["timeout_s"] or 60.0,
            score_timeout_s=options["timeout_s"],
            golden_budget_s=options["golden_budget"],
            budget_s=options["budget"],
            case=case_settings(options),
        ),
        repeats=options["repeats"],
        model=options["model"],
        prompt_version=options["prompt_version"],
    )


def load_dataset(name: str, dsn: str | Location | None, project: str = "default") -> Dataset:
    """The dataset of a file, else of the store when one is named. Raises DatasetError."""
    from ..datasets import Dataset, DatasetError
    from ..datasets.stored import from_items

    if Path(name).exists() or not dsn or name.endswith((".jsonl", ".json")):
        return Dataset.load(name)
    from ...queries.examples import stored_examples
    from ...queries.store.client import connect

    with connect(dsn) as store:
        items = stored_examples(store, name, project)
    if not items:
        raise DatasetError(
            f"{name} is neither a file nor a dataset of {store.described}, project {project!r}.",
            hint="`evalspan dataset push` stores one",
        )
    return from_items(name, items)


def parse_margins(given: tuple[str, ...]) -> dict[str, float]:
    """`0.1` is the pass rate's margin, `METRIC=0.1` that metric's. Raises UsageError for what is no positive number."""
    from ...errors import UsageError

    margins = {}
    for text in given:
        metric, _, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            raise UsageError(
                f"--margin {text!r} is not a positive number", hint="--margin 0.05 or --margin helpful=0.3"
            )
        margins[metric or "pass rate"] = value
    return margins


def _write(report: GateReport, options: dict[str, Any]) -> None:
    from ...queries.atomic_write import write_atomically
    from ..reports.github import in_github, workflow_commands, write_step_summary
    from ..reports.junit import junit_xml
    from ..reports.markdown import markdown

    if options["junit"]:
        write_atomically(Path(options["junit"]), junit_xml(report))
    if options["report_path"]:
        is_markdown = options["report_path"].endswith(".md")
        content = markdown(report).encode() if is_markdown else report.to_json()
        write_atomically(Path(options["report_path"]), content)
    if not in_github():
        click.echo(_printed(report, options["format_"]), nl=False)
        return
    # GitHub reads workflow commands from either stream; stdout stays data. While the report is printed, which quotes
    # what a model wrote, it is told to read none.
    commands = getattr(sys.stderr, "unfiltered", sys.stderr)
    end = f"evalspan-{secrets.token_hex(16)}"
    click.echo(f"::stop-commands::{end}", file=commands)
    click.echo(_printed(report, options["format_"]), nl=False)
    sys.stdout.flush()
    click.echo(f"::{end}::", file=commands)
    write_step_summary(report)
    for line in workflow_commands(report):
        click.echo(line, file=commands)


def _store(report: GateReport, dsn: str, project: str) -> None:
    import msgspec

    from ...queries.cli.links import point_to
    from ...queries.store.client import connect
    from ..experiments.record import Experiment
    from ..experiments.stored import save_to_store

    record = msgspec.convert({**report.experiment, "results": msgspec.to_builtins(report.results)}, Experiment)
    with connect(dsn, create=True) as store:
        save_to_store(store, record, project=project, verdict=report.verdict)
        point_to(store, "/experiments", project=project)
    click.echo(f"stored as experiment {record.experiment_id}", err=True)


def _printed(report: GateReport, format_: str) -> str:
    import msgspec

    from ..reports.markdown import markdown
    from ..reports.terminal import as_text

    if format_ == "json":
        return report.to_json().decode()
    if format_ == "jsonl":
        return "".join(msgspec.json.encode(result).decode() + "\n" for result in report.results)
    if format_ == "csv":
        return _csv(report)
    return markdown(report) if format_ == "markdown" else as_text(report) + "\n"


def _csv(report: GateReport) -> str:
    import csv
    import io

    from ...queries.untrusted_text import csv_cell

    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["example_id", "partition", "repeat", "status", "failure_reason", "latency_ms"])
    for one in report.results:
        cells = [one.example_id, one.partition, one.repeat, one.status, one.failure_reason, one.latency_ms]
        rows.writerow([csv_cell(cell) for cell in cells])
    return out.getvalue()
