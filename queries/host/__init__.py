"""What every part of the service is handed: the store, the clock, the metrics, the keys and the addresses."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from ..store.client import Store
from ..store.config import RetentionConfig
from .auth import KeyRing
from .clock import Clock
from .limits import Deadlines, ProjectShares
from .origin import TrustedProxies
from .supervision import Supervisor
from .telemetry import Telemetry


@dataclass
class Host:
    """The service as its parts see it; the composition root makes one, and tests make their own."""

    store: Store
    clock: Clock
    telemetry: Telemetry
    keys: KeyRing
    retention: RetentionConfig
    problem: Callable[[], str]
    """Why the service is not ready, empty when it is."""
    public_url: str = ""
    """Where people reach the pages; empty: where the service listens."""
    tls: ssl.SSLContext | None = None
    http_url: str = ""
    sql_url: str = ""
    grpc_url: str = ""
    shares: ProjectShares = field(default_factory=ProjectShares)
    """What the projects share, and how much of it each may have."""
    supervisor: Supervisor = field(default_factory=Supervisor)
    """Runs what goes on beside the requests, and knows how it does."""
    proxies: TrustedProxies = field(default_factory=TrustedProxies)
    """Proxies whose X-Forwarded-* headers are believed."""
    deadlines: Deadlines = field(default_factory=Deadlines)
    """What every port gives its clients."""

    @property
    def address(self) -> str:
        """What links of the pages begin with, without a slash at its end."""
        return self.public_url.rstrip("/") or self.http_url
