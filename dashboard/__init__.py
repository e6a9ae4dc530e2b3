"""The pages that `evalspan serve` shows, one a file; `attach` hangs them into the service's application."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web

    from ..queries.host import Host
    from .config import DashboardConfig


def attach(app: web.Application, host: Host, config: DashboardConfig) -> None:
    """Adds the dashboard's routes; called once, before the application starts."""
    # Here, so that reading the settings does not load the pages.
    from .routes import build

    if config.enabled:
        build(app, host, config)
