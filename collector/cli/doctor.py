"""`evalspan doctor`: sends a marked span as an application would, waits until it can be read, says what is traced here."""

from __future__ import annotations

import json
import os
import secrets
import time
from urllib.parse import quote

import click
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ...errors import CollectorUnreachable, EvalspanError, NotArrived
from ...instrument import semconv
from ...queries import scopes_seen
from .doctor_http import refusal_hint
from .doctor_target import Target, find_target


@click.command()
@click.option(
    "--endpoint",
    help="The collector.  [OTEL_EXPORTER_OTLP_ENDPOINT, the running service, [receive], http://127.0.0.1:4318]",
)
@click.option("--key", envvar="EVALSPAN_KEY", help="API key.  [EVALSPAN_KEY, OTEL_EXPORTER_OTLP_HEADERS, [auth]]")
@click.option("--store", metavar="DSN", help="Look for the span in this store instead of asking the collector.")
@click.option("--timeout", default=15.0, show_default=True, type=click.FloatRange(0.1), help="Seconds to wait.")
def doctor(endpoint: str | None, key: str | None, store: str | None, timeout: float) -> None:
    """Prove that a span sent from here can be queried, or say why not; list who traces which LLM library.

    Works in the app's environment with `pip install evalspan` alone.
    Exit 5: no collector or store answers. Exit 6: the span was accepted and did not become queryable.
    """
    target = find_target(endpoint, key, store)
    trace_id = secrets.token_bytes(16)
    try:
        _send(target, _marked_span(trace_id))
        click.echo(f"accepted by {target.address}")
        started = time.monotonic()
        where = (
            _in_store(store, trace_id.hex(), target.address, timeout)
            if store
            else _over_http(target, trace_id.hex(), timeout)
        )
        if where:
            click.echo(f"queryable in {where} after {time.monotonic() - started:.1f} s (trace {trace_id.hex()})")
        for note in target.notes():
            click.echo(note)
    finally:
        _say_coverage(_scopes(target))


def _marked_span(trace_id: bytes) -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key=semconv.SERVICE_NAME).value.string_value = "evalspan-doctor"
    now = time.time_ns()
    span = group.scope_spans.add().spans.add(
        trace_id=trace_id,
        span_id=secrets.token_bytes(8),
        name="doctor",
        start_time_unix_nano=now,
        end_time_unix_nano=now + 1,
    )
    span.attributes.add(key=semconv.KEEP).value.bool_value = True  # sampling must not make a healthy path look broken
    return request.SerializeToString()


def _send(target: Target, body: bytes) -> None:
    answer = target.ask("/v1/traces", body, {"Content-Type": "application/x-protobuf"})
    if answer.status != 200:
        raise CollectorUnreachable(
            f"{target.address} answered {answer.status}: {_reason(answer.body)}.",
            hint=refusal_hint(target.address, answer),
        )


def _reason(body: bytes) -> str:
    try:
        return Status.FromString(body).message or "no reason given"
    except Exception:  # noqa: BLE001 - whatever it was, it is no collector of ours
        return " ".join(body[:200].decode(errors="replace").split()) or "no reason given"


def _over_http(target: Target, trace_id: str, timeout: float) -> str | None:
    """Waits for the trace's page; None where the address is no evalspan, such as an OpenTelemetry Collector in front."""
    address = target.address
    if target.ask("/healthz").status != 200:
        click.echo(
            f"{address} has no pages to ask: a collector in front? --store or --endpoint of evalspan proves the rest"
        )
        return None
    started = time.monotonic()
    while (answer := target.ask(f"/traces/{trace_id}.json")).status != 200:
        if answer.status in (401, 403):
            click.echo(f"this key may send spans and not read pages ({answer.status}): the span was accepted")
            return None
        if time.monotonic() - started > timeout:
            raise NotArrived(
                f"{address} answered 200, and does not have trace {trace_id} after {timeout:g} s.",
                hint="`evalspan status --counters` at the collector shows what it dropped, and whether its store is away.",
            )
        time.sleep(0.1)
    return address


def _in_store(store: str, trace_id: str, address: str, timeout: float) -> str:
    from ...queries.ingest_stats import has_arrived
    from ...queries.store.client import connect

    started = time.monotonic()
    with connect(store) as opened:
        while not has_arrived(opened, trace_id):
            if time.monotonic() - started > timeout:
                raise NotArrived(
                    f"{address} answered 200, but {opened.dsn} does not have trace {trace_id} after {timeout:g} s.",
                    hint="Does that collector write to this store? `evalspan status --counters` shows what it dropped.",
                )
            time.sleep(0.1)
        return str(opened.dsn)


def _scopes(target: Target) -> set[str] | None:
    """Whose spans of this service arrived in the last day; None where the SQL port does not say."""
    service = "".join(char for char in os.environ.get("OTEL_SERVICE_NAME", "") if char not in "'\\")
    statement = scopes_seen.SQL.replace("{service}", service)
    try:
        answer = target.ask_sql(f"?default_format=JSONEachRow&query={quote(statement)}")
        if answer.status != 200:
            return None
        return {json.loads(line)["scope_name"] for line in answer.body.splitlines() if line.strip()}
    except (EvalspanError, ValueError, KeyError):
        return None


def _say_coverage(scopes: set[str] | None) -> None:
    from ...instrument.frameworks.coverage import installed_coverage

    found = installed_coverage(scopes or set())
    if not found:
        click.echo("no LLM library is installed in this environment: run doctor where the app runs")
    for one in found.values():
        by = f"traced by {one.traced_by}" if one.traced_by else "not traced"
        seen = (
            ""
            if scopes is None
            else ", calls seen in the last day"
            if one.call_seen
            else ", no call seen in the last day"
        )
        note = f": {one.note}" if one.note and not one.traced_by else ""
        click.echo(f"{one.release} is {by}{seen}{note}")
    if found and not any(one.traced_by for one in found.values()):
        click.echo("nothing here is traced: install what is named above, and call evalspan.init()")
