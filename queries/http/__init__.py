"""The ClickHouse HTTP protocol, read-only, in front of the embedded store: what clickhouse-connect, Grafana and curl talk to."""

from __future__ import annotations

from .server import attach

__all__ = ["attach"]
