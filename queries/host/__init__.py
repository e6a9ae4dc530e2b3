"""What every part of the service is handed: the store, the clock, the metrics, the keys and the addresses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..store.client import Store
from ..store.config import RetentionConfig
from .auth import KeyRing
from .clock import Clock
from .limits import ProjectShares
from .origin import TrustedProxies
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
    http_url: str = ""
    sql_url: str = ""
    grpc_url: str = ""
    shares: ProjectShares = field(default_factory=ProjectShares)
    """What the projects share, and how much of it each may have."""
    proxies: TrustedProxies = field(default_factory=TrustedProxies)
    """Proxies whose X-Forwarded-* headers are believed."""
