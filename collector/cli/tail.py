"""`evalspan tail`: follows spans as they become queryable."""

from __future__ import annotations

import time
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from ...queries.cli.options import store_option
from ...queries.cli.output import render
from ...queries.ingest_stats import new_spans
from ...queries.store.client import Result, connect
from ...queries.store.remote import RemoteStore
from ...queries.untrusted_text import one_line

# Two inserts may end in the other order than they took their time: what came so long before is looked at again.
_OVERLAP = timedelta(seconds=5)


@click.command()
@store_option
@click.option("--service", default="", help="Only spans of this service.")
@click.option("--errors", is_flag=True, help="Only spans that failed.")
@click.option("--limit", type=click.IntRange(1), help="Stop after so many spans.")
@click.option("--every", default=1.0, show_default=True, type=click.FloatRange(0.1, 60), help="Seconds between looks.")
@click.option("--format", "format_", type=click.Choice(["line", "jsonl"]), default="line", show_default=True)
def tail(dsn: str | None, service: str, errors: bool, limit: int | None, every: float, format_: str) -> None:
    """Follow spans as they are stored; Ctrl-C ends it."""
    newest, seen, left = datetime.now(UTC), OrderedDict[str, datetime](), limit
    with connect(dsn) as opened:
        served = "" if isinstance(opened, RemoteStore) else "; no `evalspan serve` runs on it"
        click.echo(f"waiting for spans in {opened.described}{served}; Ctrl-C ends", err=True)
        while left is None or left > 0:
            since = newest - _OVERLAP
            result = new_spans(opened, since, list(seen), service=service, errors=errors, most=min(left or 1000, 1000))
            for span in result.dicts():
                seen[span["span_id"]] = span["inserted_at"]
                newest = max(newest, span["inserted_at"])
            _print(result, format_)
            while seen and next(iter(seen.values())) < newest - _OVERLAP:
                seen.popitem(last=False)
            left = None if left is None else left - len(result.rows)
            if left != 0 and len(result.rows) < 1000:
                time.sleep(every)


def _print(result: Result, format_: str) -> None:
    if format_ == "jsonl":
        render(result, "jsonl")
        return
    for span in result.dicts():
        click.echo(one_line(_line(span)))


def _line(span: dict[str, Any]) -> str:
    tokens = (
        f"{span['input_tokens'] or 0}+{span['output_tokens'] or 0} tokens" if span["input_tokens"] is not None else ""
    )
    failed = f"ERROR {span['error_type']}".strip() if span["status"] == "ERROR" else ""
    said = " ".join(span["output_preview"].split())[:60]
    head = f"{span['start_time']:%H:%M:%S} {span['service'] or '-'}  {span['name']}  {span['duration_s']:.2f} s"
    return "  ".join(part for part in (head, tokens, failed, span["trace_id"], said) if part)
