"""`evalspan doctor`: sends a marked span as an application would, and waits until SQL returns it."""

from __future__ import annotations

import http.client
import os
import secrets
import time
from pathlib import Path
from urllib.parse import urlsplit

import click
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ...errors import CollectorUnreachable, NotArrived
from ...instrument import semconv
from ...queries.ingest_stats import has_arrived
from ...queries.store.client import connect
from ...queries.store.config import parse_dsn
from ...queries.store.lock_file import service_of

_DEFAULT = "http://127.0.0.1:4318"


@click.command()
@click.option("--endpoint", help="The collector.  [OTEL_EXPORTER_OTLP_ENDPOINT, else the running service]")
@click.option("--key", envvar="EVALSPAN_KEY", help="API key, where [auth] keys are set.  [EVALSPAN_KEY]")
@click.option("--store", metavar="DSN", help="Where to look for the span.  [EVALSPAN_STORE]")
@click.option("--timeout", default=15.0, show_default=True, type=click.FloatRange(0.1), help="Seconds to wait.")
def doctor(endpoint: str | None, key: str | None, store: str | None, timeout: float) -> None:
    """Prove that a span sent from here can be queried, or say why not.

    Exit 5: no collector or store answers. Exit 6: the span was accepted and did not become queryable.
    """
    location = parse_dsn(store)
    owner = service_of(Path(location.path)) if location.embedded else None
    address = endpoint or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or (owner.http if owner else _DEFAULT)
    token = key or (owner.token if owner and address == owner.http else None)
    trace_id = secrets.token_bytes(16)
    _send(address, _marked_span(trace_id), token)
    click.echo(f"accepted by {address}")
    started = time.monotonic()
    with connect(store) as opened:
        while not has_arrived(opened, trace_id.hex()):
            if time.monotonic() - started > timeout:
                raise NotArrived(
                    f"{address} answered 200, but {opened.dsn} does not have trace {trace_id.hex()} after {timeout:g} s.",
                    hint="Does that collector write to this store? `evalspan status --counters` shows what it dropped.",
                )
            time.sleep(0.1)
    click.echo(f"queryable in {opened.dsn} after {time.monotonic() - started:.1f} s (trace {trace_id.hex()})")


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


def _send(address: str, body: bytes, token: str | None) -> None:
    parts = urlsplit(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "127.0.0.1", parts.port, timeout=10)
    headers = {"Content-Type": "application/x-protobuf", **({"Authorization": f"Bearer {token}"} if token else {})}
    try:
        connection.request("POST", f"{parts.path.rstrip('/')}/v1/traces", body, headers)
        answer = connection.getresponse()
        said = answer.read()
    except OSError as error:
        raise CollectorUnreachable(
            f"No collector answers at {address}: {error}.",
            hint="Start one with `evalspan serve`, or name it with --endpoint.",
        ) from error
    finally:
        connection.close()
    if answer.status != 200:
        raise CollectorUnreachable(
            f"{address} answered {answer.status}: {_reason(said)}.",
            hint="401: give --key. 503: the store is away or behind, see `evalspan status`.",
        )


def _reason(body: bytes) -> str:
    try:
        return Status.FromString(body).message or "no reason given"
    except Exception:  # noqa: BLE001 - whatever it was, it is no collector of ours
        return body[:200].decode(errors="replace")
