"""`evalspan dataset approve` and `review`: what only people can say."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ...errors import UsageError
from .dataset_options import PARTITION_NAMES, file_argument, whoever_runs_this

if TYPE_CHECKING:
    from ..datasets import Dataset, Example


@click.command()
@file_argument
@click.option("--reviewer", "reviewers", multiple=True, help="Who vouches for it; default: you. Repeat for more.")
@click.option("--partition", default="golden", show_default=True, type=click.Choice(PARTITION_NAMES))
@click.option("--note", default="", help="What was looked at.")
def approve(file: str, reviewers: tuple[str, ...], partition: str, note: str) -> None:
    """Vouch for a partition as it stands: the golden set gates once two different people did; an edit voids it."""
    from ..datasets import Dataset

    found = Dataset.load(file)
    for one in found.approve(*(reviewers or (whoever_runs_this(),)), partition=partition, note=note):
        click.echo(f"{one.reviewer} approved {partition} of {found.name} at {one.content_hash[:12]}", err=True)
    found.save()
    why = found.why_unapproved(partition) if partition == "golden" else None
    click.echo(f"not gating yet: {why}" if why else f"{partition} is approved", err=True)


@click.command()
@file_argument
@click.option("--id", "ids", multiple=True, help="Only these cases. Default: every pending one.")
@click.option("--all", "everything", is_flag=True, help="Give all of them the same answers, without asking.")
@click.option("--reviewer", default="", help="Default: you.")
@click.option("--root-cause", default="", help="Why it failed.")
@click.option("--fix", default="", help="What was changed.")
@click.option("--expected", default=None, help="What a right answer would be.")
@click.option("--no-reference", is_flag=True, help="The evaluators need no expected output.")
@click.option("--reject", is_flag=True, help="Take the cases out: they are no failures.")
@click.option("--no-input", is_flag=True, help="Never ask.")
def review(
    file: str,
    ids: tuple[str, ...],
    everything: bool,
    reviewer: str,
    root_cause: str,
    fix: str,
    expected: str | None,
    no_reference: bool,
    reject: bool,
    no_input: bool,
) -> None:
    """Set the root cause and the expected output of exported failures: only then may they gate.

    \b
    evalspan dataset review cases.jsonl                       one after the other, by asking
    evalspan dataset review cases.jsonl --all --no-reference --root-cause "greeting in the system prompt"
    """
    from ..datasets import Dataset
    from ..datasets.review import accept, pending

    found = Dataset.load(file)
    cases = [found[name] for name in ids] or pending(found.examples)
    if reject and not (ids or everything):
        raise UsageError("which cases are no failures?", hint="--id ID, or --all")
    answered = everything or bool(ids)
    if cases and not answered and (no_input or not somebody_is_there()):
        raise UsageError(
            f"{len(cases)} cases are pending and nobody can be asked", hint="--all or --id, with the answers"
        )
    who = reviewer or whoever_runs_this()
    if not answered:
        done = sum(_ask(found, case, who, fix) for case in cases)
    else:
        done = len(cases)
        for case in cases:
            if reject:
                found.remove(case.id)
                continue
            cause = root_cause or case.root_cause
            accept(case, reviewer=who, root_cause=cause, expected_output=expected, reference_free=no_reference, fix=fix)
    found.save()
    left = len(pending(found.examples))
    click.echo(f"{done} {'taken out' if reject else 'reviewed'}, {left} pending in {file}", err=True)


def somebody_is_there() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty()


def _ask(found: Dataset, case: Example, reviewer: str, fix: str) -> bool:
    """Takes root cause and expected output from the terminal and saves; False when the case was put off."""
    from ..datasets.review import accept

    about = case.metadata
    click.secho(f"\n{case.id}  ({about.get('count', 1)} times, {about.get('reason', '')})", bold=True, err=True)
    click.echo(f"asked    {case.input_text}", err=True)
    click.echo(f"answered {(about.get('failure') or {}).get('output', '')}", err=True)
    cause = click.prompt("root cause (empty: later, 'reject': no failure)", default="", show_default=False, err=True)
    if not cause:
        return False
    if cause == "reject":
        found.remove(case.id)
    else:
        proposed = case.expected_output or ""
        wanted = click.prompt(
            "expected output (empty: none needed)", default=proposed, show_default=bool(proposed), err=True
        )
        accept(case, reviewer=reviewer, root_cause=cause, expected_output=wanted, reference_free=not wanted, fix=fix)
    found.save()
    return True
