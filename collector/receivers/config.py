"""The receivers' settings, `[receive]` of evalspan.toml."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ...queries.host.limits import Deadlines

YEAR_S = 366 * 86400.0
"""No wait is longer: an infinite one is a mistake."""


class ReceiveConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[receive]`: where spans come in, and how much the collector takes on before it says no."""

    host: str = "127.0.0.1"
    """Address to bind. Anything but this machine's own needs `[auth] keys`."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 4318
    """OTLP/HTTP, the dashboard and health; 0 picks a free one."""
    grpc_port: Annotated[int, msgspec.Meta(ge=-1, le=65535)] = 4317
    """OTLP/gRPC; 0 picks a free one, -1 switches it off."""
    sql_port: Annotated[int, msgspec.Meta(ge=-1, le=65535)] = 8123
    """ClickHouse's HTTP protocol, read-only; 0 picks a free one, -1 switches it off."""
    max_body_bytes: Annotated[int, msgspec.Meta(ge=1)] = 20 * 1024 * 1024
    """Longest request, before and after decompression; longer ones get 413."""
    max_attribute_bytes: Annotated[int, msgspec.Meta(ge=1)] = 1024 * 1024
    """Longest attribute; longer ones are cut and named in the span's evalspan.truncated."""
    max_inflight_bytes: Annotated[int, msgspec.Meta(ge=1)] = 256 * 1024 * 1024
    """Requests held in memory at the same moment; beyond it new ones get 503."""
    header_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=YEAR_S)] = 15.0
    """Seconds a new connection has for its first request's header."""
    body_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=YEAR_S)] = 30.0
    """Seconds a request has for its body."""
    idle_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=YEAR_S)] = 30.0
    """Seconds a connection may stay open between two requests. These three hold at every port."""
    log_path: str = ""
    """Directory of the durable log; empty: `log` in the embedded store's directory, else the user's data directory."""
    log_bytes: Annotated[int, msgspec.Meta(ge=1)] = 512 * 1024 * 1024
    """Most bytes that may wait for the store; beyond it senders get 503 with Retry-After."""
    segment_bytes: Annotated[int, msgspec.Meta(ge=1)] = 32 * 1024 * 1024
    """Largest single insert."""
    flush_ms: Annotated[int, msgspec.Meta(ge=0)] = 500
    """Milliseconds until a span is on its way into the store when the store keeps up; in a stream of spans twice as many, in a
    stream of more than 8 MB in that time four times."""
    sync_ms: Annotated[int, msgspec.Meta(ge=0)] = 10
    """Milliseconds that requests wait for others to share one sync with."""
    keep_inserted_s: Annotated[float, msgspec.Meta(ge=0, le=YEAR_S)] = 10.0
    """Seconds that inserted segments stay until the store's files are synced too (power loss); embedded store only."""
    drain_s: Annotated[float, msgspec.Meta(ge=0, le=YEAR_S)] = 30.0
    """Seconds that a stop waits for the log to get into the store; the rest is inserted at the next start."""
    tls_cert: str = ""
    """Certificate chain (PEM) of all ports; read again when the file changes (looked at every 30 s). Empty: no TLS."""
    tls_key: str = ""
    """Its private key (PEM)."""

    def __post_init__(self) -> None:
        taken: dict[int, str] = {}
        for name in ("port", "grpc_port", "sql_port"):
            port = getattr(self, name)
            if port > 0 and port in taken:
                raise ValueError(f"{taken[port]} and {name} are both {port}: each needs a port of its own")
            taken[port] = name


def deadlines_of(receive: ReceiveConfig) -> Deadlines:
    """What every port gives its clients, as the settings say."""
    return Deadlines(receive.header_timeout_s, receive.body_timeout_s, receive.idle_timeout_s)
