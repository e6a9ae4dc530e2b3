"""How much of what all projects share one project gets: `[limits]` of evalspan.toml."""

from __future__ import annotations

import msgspec

from ..shares import Shares


class Deadlines(msgspec.Struct, frozen=True):
    """How long a client may take, in seconds, at every port: `[receive]` has the settings."""

    header_s: float = 15.0
    body_s: float = 30.0
    idle_s: float = 30.0
    """For a connection between two requests."""


class LimitsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[limits]`: totals, and the part of one project. With keys for one project it may have the total."""

    sql_queries: int = 4
    """SQL statements of clients that run at once."""
    sql_queries_per_project: int = 3
    sql_requests: int = 64
    """Requests at the SQL port at once, those that wait for a statement's place included."""
    sql_requests_per_project: int = 32
    sql_sessions: int = 1000
    """Sessions of the SQL port, `session_id` in the address."""
    sql_sessions_per_project: int = 200
    live_listeners_per_project: int = 10
    """Open live lists of one project; `[dashboard] live_listeners` bounds all."""
    page_requests: int = 64
    """Requests at the dashboard at once."""
    page_requests_per_project: int = 32
    otlp_requests: int = 1024
    """OTLP requests in progress, over HTTP and gRPC."""
    otlp_requests_per_project: int = 512
    connections: int = 1024
    """Open connections at the HTTP port, at most a quarter of the files that the process may open."""
    sql_connections: int = 256
    """Open connections at the SQL port, at most an eighth of them."""
    grpc_connections: int = 512
    """Open connections at the gRPC port, at most an eighth of them."""
    grpc_streams: int = 16_384
    """Calls at once on one of these connections; clients keep the others back once they know."""
    connections_per_peer: int = 512
    """Open connections from one address, at each port; at the gRPC port those with calls in progress."""
    far_days: int = 4000
    """Days further back than spans are kept (or than 400 days), or ahead, on which spans are stored, from one start of
    the service to the next: each is a part of the store."""
    far_days_per_project: int = 2000
    inflight_bytes_per_project: int = 0
    """Memory for the requests of one project in progress; 0: half of `[receive] max_inflight_bytes`."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value, least = getattr(self, name), 0 if name == "inflight_bytes_per_project" else 1
            if value < least:
                raise ValueError(f"{name} = {value}: it has to be at least {least}")


class ProjectShares:
    """The places that projects share, each bounded in all and by project."""

    def __init__(
        self,
        config: LimitsConfig | None = None,
        *,
        projects: int = 0,
        live_listeners: int = 20,
        inflight_bytes: int = 64 << 20,
    ) -> None:
        """`projects` is how many have keys: one alone may take everything."""
        self.config = limits = config or LimitsConfig()

        def shares(what: str, total: int, total_setting: str, part: int, part_setting: str) -> Shares:
            return Shares(
                what,
                total=total,
                total_setting=total_setting,
                part=total if projects <= 1 else part,
                part_setting=f"[limits] {part_setting}",
            )

        def of(what: str, name: str) -> Shares:
            part = f"{name}_per_project"
            return shares(what, getattr(limits, name), f"[limits] {name}", getattr(limits, part), part)

        self.sql_queries = of("running statements", "sql_queries")
        self.sql_requests = of("SQL requests", "sql_requests")
        self.sql_sessions = of("SQL sessions", "sql_sessions")
        self.page_requests = of("page requests", "page_requests")
        self.otlp_requests = of("OTLP requests", "otlp_requests")
        self.far_days = of("days far from the present", "far_days")
        self.live_listeners = shares(
            "live lists",
            live_listeners,
            "[dashboard] live_listeners",
            limits.live_listeners_per_project,
            "live_listeners_per_project",
        )
        self.inflight_bytes = shares(
            "bytes of requests in progress",
            inflight_bytes,
            "[receive] max_inflight_bytes",
            limits.inflight_bytes_per_project or inflight_bytes // 2,
            "inflight_bytes_per_project",
        )
