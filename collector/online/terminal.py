"""The funnel of online evaluation for people: one line a rule, under `evalspan status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ...queries import catalog

if TYPE_CHECKING:
    from ...queries.store.protocol import StoreClient


def say_funnel(store: StoreClient) -> None:
    """What became of the spans of each rule, on stderr; nothing when there are no rules."""
    for row in catalog.get("evaluation_funnel").run(store).dicts():
        counts = ", ".join(
            f"{row[stage]} {stage.replace('_', ' ')}"
            for stage in ("seen", "matched", "sampled", "over_budget", "queued", "scored", "unscored", "failed")
            if row[stage] or stage in ("matched", "scored")
        )
        click.echo(f"rule {row['rule']}: {counts}; {row['lag_s']} s behind, ${row['cost_usd']:.4f}", err=True)
        if row["unscored_reasons"]:
            click.echo(f"  unscored: {'; '.join(row['unscored_reasons'])}", err=True)
        if row["problem"] or row["waiting_for"]:
            click.echo(f"  {'off' if row['problem'] else 'waits'}: {row['problem'] or row['waiting_for']}", err=True)
