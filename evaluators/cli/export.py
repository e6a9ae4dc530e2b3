"""`evalspan export`: production failures become regression cases, in the format of whoever runs them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import msgspec

from ...queries.cli.options import project_option, store_option
from ...queries.durations import parse_duration

if TYPE_CHECKING:
    from ...queries.failures.selection import Found
    from ...queries.store.protocol import StoreClient

FORMATS = ("jsonl", "parquet", "promptfoo", "inspect", "openai-evals", "huggingface", "pytest")
RULES = ("api_key", "email", "iban", "card", "phone")


@click.group()
def export() -> None:
    """Carry what went wrong in production back into the tests."""


@export.command()
@click.option("--since", default="24h", show_default=True, help="How far back: 90m, 24h, 7d, 2w.")
@click.option("--where", default="", metavar="SQL", help="A condition on columns of spans and evaluations.")
@click.option("--to", "destination", required=True, metavar="FILE", help="Where the cases go.")
@click.option("--format", "format_", type=click.Choice(FORMATS), default="jsonl", show_default=True)
@click.option("--against", multiple=True, metavar="FILE", help="Datasets that hold some of the cases already.")
@click.option("--redact", "rules", default=",".join(RULES), show_default=True, help='What is masked; "" for nothing.')
@project_option
@click.option(
    "--limit", default=10_000, show_default=True, type=click.IntRange(1), help="Maximum number of evaluations read."
)
@store_option
def failures(
    since: str,
    where: str,
    destination: str,
    format_: str,
    against: tuple[str, ...],
    rules: str,
    project: str,
    limit: int,
    dsn: str | None,
) -> None:
    """Select failures by SQL, keep one of each kind, and write them as regression cases.

    A failure is a failed evaluation, an error, a thumbs-down or a hallucination. With --where, a condition on score,
    passed, label, source, status or error_type says itself what a failure is; any other narrows the usual ones.

    \b
    evalspan export failures --since 7d --to regression.jsonl
    evalspan export failures --where "name = 'faithfulness' AND score < 0.5" --to cases.yaml --format promptfoo

    A JSONL file that exists is added to. The cases gate after `evalspan dataset review`.
    """
    from ...queries.cli.output import say_nothing
    from ...queries.failures.selection import find_failures
    from ...queries.store.client import connect
    from ..trajectory.cases import conversation_cases, with_trajectories

    window = parse_duration(since, name="--since")
    path = Path(destination)
    with connect(dsn) as store:
        known = [*_held_by_files(against, path, format_), *_held_by_store(store, project)]
        redact = _redactor(rules)
        found = find_failures(
            store, since=window, where=where, project=project, limit=limit, known=known, redact=redact
        )
        cases = with_trajectories(store, found.cases, project=project, redact=redact)
        cases += conversation_cases(store, since=window, project=project, where=where, limit=limit, redact=redact)
        found = msgspec.structs.replace(found, cases=cases)
        if not found.cases:
            say_nothing("new failures", store, project)
    written = _write(found, path, format_)
    click.echo(_summary(found, written.total, path, since), err=True)
    for line in (*written.lines(path), *_not_held(format_, found.cases)):
        click.echo(line, err=True)
    if format_ == "jsonl" and found.cases:
        click.echo(f"  next: evalspan dataset review {path}", err=True)


@export.command()
@click.option("--since", default="24h", show_default=True, help="How far back: 90m, 24h, 7d, 2w.")
@click.option("--to", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), help="A folder.")
@project_option
@store_option
def spans(since: str, folder: Path, project: str, dsn: str | None) -> None:
    """Write stored spans as Parquet, one file for each day (UTC).

    \b
    evalspan export spans --since 30d --to spans/
    """
    from ...queries.exports.spans import write_spans
    from ...queries.store.client import connect

    total = 0
    with connect(dsn) as store:
        for path, rows in write_spans(store, folder, since=parse_duration(since, name="--since"), project=project):
            click.echo(str(path))
            total += rows
    click.echo(f"{total} spans of {store.described}, project {project!r}", err=True)


def _held_by_files(against: tuple[str, ...], path: Path, format_: str) -> list[tuple[str, str]]:
    from ...queries.messages import question_of
    from ..datasets import Dataset

    files = [*against, *([str(path)] if format_ == "jsonl" and path.exists() else [])]
    return [(f"{one.id} in {file}", question_of(one.input)) for file in files for one in Dataset.load(file)]


def _held_by_store(store: StoreClient, project: str) -> list[tuple[str, str]]:
    from ...queries.examples import held_inputs
    from ...queries.messages import question_of

    return [(name, question_of(given)) for name, given in held_inputs(store, project)]


def _redactor(rules: str) -> Any:
    from ...instrument.redact import make_redactor

    names = [name.strip() for name in rules.split(",") if name.strip()]
    redactor = make_redactor(names) if names else None
    if redactor is None:
        return None

    def mask(case: dict[str, Any]) -> dict[str, Any]:
        # Ids, times and counts are references, not content: masking them would break the way back to the trace.
        about = case["metadata"]
        content = {key: about[key] for key in CONTENT_KEYS if key in about}
        masked = redactor.value({"input": case["input"], "expected_output": case["expected_output"], "about": content})
        return {
            **case,
            "input": masked["input"],
            "expected_output": masked["expected_output"],
            "metadata": {**about, **masked["about"]},
        }

    return mask


CONTENT_KEYS = ("failure", "context", "reason", "trajectory", "tool_results")
"""What in a case's metadata is content of traffic."""


class Written(NamedTuple):
    """What became of the file: how many cases it holds, and what was there before."""

    total: int
    updated: int = 0
    reviewed: int = 0
    replaced: bool = False

    def lines(self, path: Path) -> list[str]:
        """What a person should know, a line each."""
        said = []
        if self.updated:
            said.append(f"  {self.updated} cases that nobody had reviewed were there under the same id: updated")
        if self.reviewed:
            said.append(f"  {self.reviewed} reviewed cases were there under the same id: kept as they are")
        if self.replaced:
            said.append(f"  {path} was there: replaced")
        return said


def _write(found: Found, path: Path, format_: str) -> Written:
    if format_ != "jsonl":
        from ...queries.exports import write

        existed = path.exists()
        write(format_, path, found.cases)
        return Written(len(found.cases), replaced=existed)
    from ..datasets import Dataset, Example

    dataset = Dataset.load(path) if path.exists() else Dataset(path.stem, "regression")
    updated = reviewed = 0
    for case in found.cases:
        there = case["id"] in dataset
        if there and not dataset[case["id"]].pending:
            reviewed += 1
            continue
        updated += there
        dataset.add(Example.from_json(case), replace=there)
    dataset.save(path)
    return Written(len(dataset), updated, reviewed)


def _not_held(format_: str, cases: list[dict[str, Any]]) -> list[str]:
    """What of agents' cases the format cannot hold, a line each: jsonl, pytest, parquet and huggingface hold all of it."""
    if format_ not in ("promptfoo", "inspect", "openai-evals"):
        return []
    turns = sum("turns" in case["input"] for case in cases)
    tools = sum("tool_results" in case["metadata"] for case in cases)
    kept = " (they are in the sample's metadata)" if format_ == "inspect" else ""
    said = []
    if turns:
        said.append(
            f"  {format_} asks one request a case: of {turns} cases of several turns the first turn is asked{kept}"
        )
    if tools:
        said.append(f"  {format_} does not replay tools: the recorded results of {tools} cases stay unused{kept}")
    return said


def _summary(found: Found, written: int, path: Path, since: str) -> str:
    parts = [f"{found.failures} failing traces in {since}", f"{len(found.cases)} new cases"]
    if found.overlapping:
        names = ", ".join(str(case["metadata"]["overlaps"]) for case in found.overlapping[:3])
        parts.append(f"{len(found.overlapping)} held already ({names})")
    if found.unreadable:
        parts.append(f"{found.unreadable} without a stored input")
    if found.cut:
        parts.append("older ones left out (--limit)")
    return f"{', '.join(parts)}; {path} holds {written}"
