"""`evalspan score`: runs a suite over stored outputs or stored spans; progress, budget, resume, a table that tells."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...errors import UsageError
from ...queries.cli.options import project_option, store_option
from .cache_options import cache_from, cache_options
from .dataset_options import map_option

if TYPE_CHECKING:
    from ..contract import Evaluator
    from ..judges.budget import Budget
    from ..reports.score_report import Summary

FORMATS = ("table", "json", "jsonl", "csv", "markdown")
INCONCLUSIVE = 4


@click.command()
@click.option(
    "--input", "input_path", type=click.Path(dir_okay=False), help="One output per record: JSONL, CSV, Excel, Parquet."
)
@map_option
@click.option("--since", help="Score stored spans instead, this far back: 90m, 24h, 7d.")
@click.option("--suite", "suite_name", metavar="MODULE:EVALUATORS", help="The evaluators.")
@click.option(
    "--evaluator", "only", multiple=True, metavar="NAME", help="Only these of the suite; NAME@new re-baselines."
)
@click.option(
    "--output", "output_path", type=click.Path(dir_okay=False), help="Results; default: INPUT with .scores.jsonl."
)
@click.option(
    "--labels", "labels_path", type=click.Path(dir_okay=False), help="Human labels by id, for `evalspan calibrate`."
)
@click.option("--max-usd", type=click.FloatRange(0), help="Judges stop here. A model without a known price is refused.")
@click.option("--max-tokens", type=click.IntRange(0), default=2_000_000, show_default=True, help="Judges stop here.")
@click.option("--concurrency", type=click.IntRange(1, 1000), default=16, show_default=True)
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.001), help="Seconds for one evaluation.")
@click.option(
    "--where",
    default="role = 'call' AND operation != 'embeddings'",
    show_default=True,
    help="Which spans, a SQL condition.",
)
@click.option(
    "--fraction",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Share of the spans, drawn by hash.",
)
@project_option
@store_option
@click.option("--follow", is_flag=True, help="Keep scoring spans as they arrive.")
@click.option("--shard", metavar="I/N", help="With --follow: this process's share.  [[evaluation] shard, 0/1]")
@click.option("--prompts", is_flag=True, help="Print the prompts of the suite's judges and stop.")
@cache_options
@click.option("--format", "format_", type=click.Choice(FORMATS), default="table", show_default=True)
@click.pass_context
def score(ctx: click.Context, /, **options: Any) -> None:
    """Runs evaluators over outputs in a file (--input) or over stored spans (--since).

    Outcomes are written as they are known; the same command again goes on where it was stopped and tries what was
    unscored once more. Exit 4 when an evaluator scored nothing at all.

    \b
    evalspan score --input answers.jsonl --suite checks:SUITE --max-usd 2
    evalspan score --since 24h --suite checks:SUITE --fraction 0.1
    evalspan score --since 7d --suite checks:SUITE --evaluator tone@new
    evalspan score --follow                 # by the rules of [evaluation] in evalspan.toml
    """
    with cache_from(options):
        _score(ctx, options)


def _score(ctx: click.Context, options: dict[str, Any]) -> None:
    if options["follow"]:
        _follow(options)
        return
    suite, rebaselined = _chosen(options["suite_name"], options["only"])
    if options["prompts"]:
        _print_prompts(suite)
        return
    if bool(options["input_path"]) == bool(options["since"]):
        raise UsageError("score needs either --input FILE or --since DURATION", hint="evalspan score --help")
    if rebaselined and not options["since"]:
        raise UsageError("NAME@new compares with stored scores", hint="use it with --since")
    run = _score_file if options["input_path"] else _score_spans
    with _budget(options, _journal_path(suite, options)) as budget:
        found = run(suite, rebaselined, options)
    _say_spending(budget)
    if any(one.n == 0 for one in found):
        ctx.exit(INCONCLUSIVE)


def _score_file(suite: list[Evaluator], _: set[str], options: dict[str, Any]) -> list[Summary]:
    from ..datasets.records import parse_columns
    from ..scoring.outputs import Results, read_outputs, score_all

    path = Path(options["input_path"])
    outputs = read_outputs(path, parse_columns(options["columns"]))
    target = _results_path(options) or path
    results = Results(target)
    settings = {"concurrency": options["concurrency"], "timeout_s": options["timeout_s"]}
    with progress(len(outputs) * len(suite), "score") as advance:
        made = asyncio.run(score_all(outputs, suite, results, advance=advance, **settings))
    results.close()
    known = {(one.id, one.fingerprint) for one in outputs}
    current = {(one.name, one.version) for one in suite}
    # The file may hold outputs and versions of earlier runs: the table is about this input and this suite.
    scored = [one for key, one in results.kept.items() if key[:2] in known and key[2:] in current]
    click.echo(f"{made} judgements made, {len(scored) - made} kept from before; results in {target}", err=True)
    found = _show(scored, options["format_"])
    if options["labels_path"]:
        from ..calibration.label_files import read_labels_by_id, write_labelled

        for written in write_labelled(scored, read_labels_by_id(Path(options["labels_path"])), target):
            click.echo(f"evalspan calibrate --labels {written}", err=True)
    return found


def _score_spans(suite: list[Evaluator], rebaselined: set[str], options: dict[str, Any]) -> list[Summary]:
    from ...queries.durations import parse_duration
    from ...queries.store.client import connect
    from ..scoring.spans import compare_versions, score_spans

    with connect(options["dsn"]) as store, progress(None, "score") as advance:
        scored = asyncio.run(
            score_spans(
                store, suite, since=parse_duration(options["since"], name="--since"), where=options["where"], project=options["project"],
                fraction=options["fraction"], concurrency=options["concurrency"], timeout_s=options["timeout_s"],
                rebaselined=frozenset(rebaselined), advance=advance,
            )
        )  # fmt: skip
        found = _show(scored, options["format_"]) if scored else []
        if not scored:
            click.echo(
                f"no span in {store.described}, project {options['project']!r}, waits for these evaluators in this period",
                err=True,
            )
        for one in suite:
            if one.name in rebaselined:
                click.echo(
                    compare_versions(
                        store, one, since=parse_duration(options["since"], name="--since"), project=options["project"]
                    ),
                    err=True,
                )
    return found


def _follow(options: dict[str, Any]) -> None:
    from ...queries.store.client import connect
    from ..scoring.follow import follow, rules_to_follow

    found = rules_to_follow(options)
    with connect(options["dsn"]) as store:
        follow(store, found, say=lambda text: click.echo(text, err=True))


def _chosen(reference: str | None, only: tuple[str, ...]) -> tuple[list[Evaluator], set[str]]:
    from ...errors import or_did_you_mean
    from ..loading import load_suite

    if not reference:
        raise UsageError("score needs a suite", hint="--suite module:evaluators, for example --suite checks:SUITE")
    suite = load_suite(reference)
    names = [name.removesuffix("@new") for name in only]
    for name in names:
        if name not in [one.name for one in suite]:
            known = [one.name for one in suite]
            raise UsageError(
                f"{reference} has no evaluator {name!r}",
                hint=f"it has {', '.join(known)}{or_did_you_mean(name, known)}",
            )
    chosen = [one for one in suite if not names or one.name in names]
    return chosen, {name.removesuffix("@new") for name in only if name.endswith("@new")}


def _print_prompts(suite: list[Evaluator]) -> None:
    prompts = [one.printed_prompt() for one in suite if hasattr(one, "printed_prompt")]
    if not prompts:
        raise UsageError("no judge in this suite has a prompt", hint="--suite module:evaluators with a Judge in it")
    click.echo("\n\n".join(prompts))


def _show(scored: list[Any], format_: str) -> list[Summary]:
    from ...queries.cli.output import render
    from ...queries.store.client import Result
    from ..reports.score_report import COLUMNS, advice, summaries

    found = summaries(scored)
    rows = [tuple(getattr(one, column) for column in COLUMNS) for one in found]
    render(Result(list(COLUMNS), list(COLUMNS.values()), rows), format_)
    for note in advice(scored):
        click.echo(f"note: {note}", err=True)
    return found


def _results_path(options: dict[str, Any]) -> Path | None:
    """Where the outcomes of --input go."""
    if not options["input_path"]:
        return None
    return Path(options["output_path"] or Path(options["input_path"]).with_suffix(".scores.jsonl"))


def _journal_path(suite: list[Evaluator], options: dict[str, Any]) -> Path | None:
    """What the run spends is noted here as it is spent: beside a file's outcomes, for spans in the user's state folder.

    None where no judge takes part in scoring spans: nothing is spent, and a machine without a home is fine.
    """
    results = _results_path(options)
    if results is not None:
        return results.with_suffix(".spent.jsonl")
    if not any(getattr(one, "source", "code") == "llm_judge" for one in suite):
        return None
    from ..contract import fingerprint
    from ..judges.spending_journal import state_folder

    # The same command again is known by what it scores, with what.
    scope = (str(options[name]) for name in ("dsn", "project", "since", "where", "fraction"))
    return state_folder() / f"score-{fingerprint(*scope, *(f'{one.name} {one.version}' for one in suite))}.spent.jsonl"


@contextmanager
def _budget(options: dict[str, Any], journal_path: Path | None) -> Iterator[Budget]:
    """The limits of this run; what a killed run of the same command has spent counts, too."""
    from ..judges.budget import Budget, use_budget
    from ..judges.spending_journal import SpendingJournal

    limits = {"max_tokens": options["max_tokens"], "max_usd": options["max_usd"]}
    if journal_path is None:
        with use_budget(Budget(**limits)) as budget:
            yield budget
        return
    journal = SpendingJournal(journal_path)
    if journal.earlier.calls:
        said = f", {journal.under_way} of them under way at its end" if journal.under_way else ""
        click.echo(
            f"an unfinished run made {journal.earlier.calls} judge calls{said}, for ${journal.earlier.usd or 0:.4f} at most; they count",
            err=True,
        )
    try:
        with use_budget(Budget(**limits, journal=journal)) as budget:
            yield budget
    except BaseException:
        journal.close()
        raise
    journal.finish()


def _say_spending(budget: Budget) -> None:
    spent = budget.spent
    if not spent.calls and not spent.cached:
        return
    tokens = f"{spent.input_tokens + spent.output_tokens:,} tokens"
    price = f"${spent.usd:.4f}" + (
        f" plus {spent.unpriced_calls} calls of unknown price" if spent.unpriced_calls else ""
    )
    click.echo(f"judges: {spent.calls} calls, {spent.cached} from the cache, {tokens}, {price}", err=True)


@contextmanager
def progress(total: int | None, what: str) -> Iterator[Callable[[], None]]:
    """A function to call after each judgement; a bar on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
