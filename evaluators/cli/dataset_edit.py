"""`evalspan dataset edit` and `remove`: one case changed by options or in an editor, cases taken out; whole or not at all."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ...errors import UsageError, or_did_you_mean
from .dataset_options import PARTITION_NAMES, file_argument, json_object
from .dataset_people import somebody_is_there

if TYPE_CHECKING:
    from ..datasets import Dataset, Example


@click.command()
@file_argument
@click.argument("example_id", metavar="ID")
@click.option("--input", "given", default=None, metavar="TEXT|JSON", help='A JSON object, or a text as "question".')
@click.option("--expected", default=None, help="The expected output.")
@click.option("--no-expected", is_flag=True, help="It has no expected output.")
@click.option("--partition", default=None, type=click.Choice(PARTITION_NAMES), help="Move it there.")
@click.option("--set", "metadata", default=None, metavar="JSON", help="Metadata to set; null takes a key out.")
@click.option("--tag", "tags", multiple=True, help="Add a tag.")
@click.option("--untag", multiple=True, help="Take a tag off.")
@click.option("--no-input", is_flag=True, help="Never open an editor.")
def edit(file: str, example_id: str, no_input: bool, **options: Any) -> None:
    """Change one case; without options in $EDITOR, as JSON. An approval of its partition ends with an edit.

    \b
    evalspan dataset edit support.jsonl golden-3 --expected "Pro costs 49 dollars a month."
    evalspan dataset edit support.jsonl golden-3 --partition regression --tag billing
    """
    from ..datasets import Dataset

    found = Dataset.load(file)
    _check_ids(found, [example_id])
    old = found[example_id]
    if any(options.values()) or options["given"] == "" or options["expected"] == "":
        new = _changed(old, **options)
    elif no_input or not somebody_is_there():
        raise UsageError("nothing was said to change", hint="--input, --expected, --partition, --set, --tag or --untag")
    else:
        new = _edited(old)
    if new == old:
        click.echo(f"{example_id} stays as it is", err=True)
        return
    approved = [name for name in dict.fromkeys((old.partition, new.partition)) if _is_approved(found, name)]
    found.replace(old.id, new)
    found.save()
    click.echo(f"changed {new.id} in {file}", err=True)
    _say_unapproved(found, approved)


@click.command()
@file_argument
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
def remove(file: str, ids: tuple[str, ...]) -> None:
    """Take cases out, all of those named or none. An approval of their partitions ends with it."""
    from ..datasets import Dataset

    found = Dataset.load(file)
    _check_ids(found, ids)
    approved = [
        name for name in dict.fromkeys(found[one].partition for one in ids) if _is_approved(found, name)
    ]  # fmt: skip
    for one in dict.fromkeys(ids):
        found.remove(one)
    found.save()
    click.echo(f"{len(dict.fromkeys(ids))} taken out of {file}, {len(found)} left", err=True)
    _say_unapproved(found, approved)


def _changed(
    old: Example,
    *,
    given: str | None,
    expected: str | None,
    no_expected: bool,
    partition: str | None,
    metadata: str | None,
    tags: tuple[str, ...],
    untag: tuple[str, ...],
) -> Example:
    if no_expected and expected is not None:
        raise UsageError("--expected and --no-expected cannot both hold", hint="give one of them")
    if missing := [tag for tag in untag if tag not in old.tags]:
        raise UsageError(f"{old.id} has no tag {missing[0]!r}", hint=f"its tags: {', '.join(old.tags) or 'none'}")
    fields: dict[str, Any] = {}
    if given is not None:
        fields["input"] = json_object(given, "--input") if given.lstrip().startswith("{") else {"question": given}
    if expected is not None or no_expected:
        fields["expected_output"] = expected
    if partition is not None:
        fields["partition"] = partition
    if metadata is not None:
        merged = {**old.metadata, **json_object(metadata, "--set")}
        fields["metadata"] = {key: value for key, value in merged.items() if value is not None}
    if tags or untag:
        fields["tags"] = [*(one for one in old.tags if one not in untag), *(one for one in tags if one not in old.tags)]
    return msgspec.structs.replace(old, **fields)


def _edited(old: Example) -> Example:
    """What was saved in the editor; a text that is no example is refused, and nothing was changed."""
    from ..datasets.files import as_example

    written = click.edit(
        json.dumps(old.to_json(), indent=2, ensure_ascii=False) + "\n", extension=".json", env=dict(os.environ)
    )
    if written is None:
        return old
    return as_example(json_object(written, "what was saved"), "what was saved")


def _check_ids(found: Dataset, ids: Any) -> None:
    known = [one.id for one in found]
    for one in ids:
        if one not in found:
            raise UsageError(
                f"{found.name} has no example {one!r}{or_did_you_mean(one, known)}; nothing was changed",
                hint="`evalspan dataset show` lists them",
            )


def _is_approved(found: Dataset, partition: str) -> bool:
    return bool(found.partition(partition)) and found.why_unapproved(partition) is None


def _say_unapproved(found: Dataset, before: list[str]) -> None:
    for name in before:
        if not _is_approved(found, name) and found.partition(name):
            click.echo(f"the {name} set is not approved any more: `evalspan dataset approve` after a look", err=True)
