"""`evalspan dataset sample`, `push` and `pull`: between dataset files and the store."""

from __future__ import annotations

from pathlib import Path

import click

from ...errors import UsageError
from ...queries.cli.options import project_option, store_option
from .dataset_options import file_argument


@click.command()
@file_argument
@click.option("--size", default=1000, show_default=True, type=click.IntRange(1), help="500 to 5,000 are meant.")
@click.option("--since", default="7d", show_default=True, help="How far back: 24h, 7d, 4w.")
@click.option("--where", default="", metavar="SQL", help="A condition on columns of spans.")
@click.option("--by", default="", help="Stratify by: segment, hour, service, request_model, prompt_version, ...")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0))
@project_option
@store_option
def sample(file: str, size: int, since: str, where: str, by: str, seed: int, project: str, dsn: str | None) -> None:
    """Draw the distribution partition from stored traffic, with the weight of each case; replaces an earlier draw."""
    from ...queries.durations import parse_duration
    from ...queries.store.client import connect
    from ...queries.traffic_sample import sample_traffic
    from ..datasets import Dataset, Example

    path = Path(file)
    found = Dataset.load(path) if path.exists() else Dataset(path.stem)
    with connect(dsn) as store:
        cases = sample_traffic(
            store,
            size=size,
            since=parse_duration(since, name="--since"),
            where=where,
            by=by,
            seed=seed,
            project=project,
        )
    if not cases:
        raise UsageError(
            f"no stored model call of the last {since} matches in {store.described}, project {project!r}",
            hint="widen --since or --where",
        )
    for old in found.partition("distribution"):
        found.remove(old.id)
    for case in cases:
        found.add(Example.from_json(case))
    found.manifest.sampling = {"size": size, "since": since, "where": where, "by": by, "seed": seed, "project": project}
    found.save(path)
    weight = sum(case["metadata"]["sample_weight"] for case in cases)
    click.echo(f"{len(cases)} cases that stand for {weight:,.0f} calls are in {file}", err=True)
    for problem in found.validate():
        if problem.code == "size":
            click.echo(f"warning: {problem.message}", err=True)


@click.command()
@file_argument
@click.option("--name", default="", help="The dataset's name in the store; default: its own.")
@project_option
@store_option
def push(file: str, name: str, project: str, dsn: str | None) -> None:
    """Write a dataset file into the table `examples`; what was there under its name and is gone is deleted."""
    from ...queries.examples import store_examples
    from ...queries.store.client import connect
    from ..datasets import Dataset
    from ..datasets.stored import to_items

    found = Dataset.load(file)
    items = to_items(found)
    with connect(dsn, create=True) as store:
        gone = store_examples(store, name or found.name, items, project)
    click.echo(f"{len(items)} examples stored as {name or found.name}, {gone} deleted", err=True)


@click.command()
@click.argument("name")
@file_argument
@project_option
@store_option
def pull(name: str, file: str, project: str, dsn: str | None) -> None:
    """Write a dataset of the store into a file; the manifest of a file that exists is kept."""
    from ...queries.examples import stored_examples
    from ...queries.store.client import connect
    from ..datasets import Dataset
    from ..datasets.stored import from_items

    with connect(dsn) as store:
        items = stored_examples(store, name, project)
    if not items:
        raise UsageError(
            f"{store.described}, project {project!r}, has no dataset {name!r}",
            hint="`evalspan dataset push` stores one",
        )
    path = Path(file)
    fresh = from_items(name, items)
    if path.exists():
        said = {(one.reviewer, one.partition): one for one in fresh.manifest.approvals}
        fresh.manifest = Dataset.load(path).manifest
        before = {(one.reviewer, one.partition): one for one in fresh.manifest.approvals}
        fresh.manifest.approvals = list({**before, **said}.values())
    fresh.save(path)
    click.echo(f"{len(fresh)} examples in {file}", err=True)
