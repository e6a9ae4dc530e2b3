"""The `[dashboard]` table of evalspan.toml: what the pages start with and how much they may ask for."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from ..errors import ConfigError, UsageError
from ..queries.durations import parse_duration
from ..queries.host.origin import TrustedProxies


class DashboardConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the pages behave."""

    enabled: bool = True
    """Serve the pages at `/`; the OTLP and SQL ports work without them."""
    since: str = "24h"
    """The time range of a page that is opened without one, such as `1h`, `24h` or `7d`."""
    rows: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 50
    """Rows of a list before "older" is offered."""
    live_listeners: Annotated[int, msgspec.Meta(ge=0)] = 20
    """Open live lists at one time; each asks the store once a second."""
    replay: str = ""
    """`module:callable`, or `file.py:callable`, that the replay page asks with an edited system prompt; empty switches the page off."""
    replay_suite: str = ""
    """`module:name` of the evaluators that judge replayed answers; empty judges none."""
    cost_by: tuple[str, ...] = ("service", "model", "version", "tenant.id", "user", "environment")
    """By what the cost page offers to split: columns, or any attribute of spans or resources, such as `customer.tier`."""
    public_url: str = ""
    """Where people reach the pages, such as `https://tools.example.com/evalspan`: links in alerts and commands begin with
    it, and its path with every link of the pages. The proxy takes the path off. Empty: the address that is bound."""
    trusted_proxies: list[str] = []
    """Addresses or networks of proxies whose X-Forwarded-For, -Host and -Proto headers are believed."""

    def __post_init__(self) -> None:
        try:
            parse_duration(self.since, name="since")
        except UsageError as error:
            raise ConfigError(f"[dashboard] {error}", hint=error.hint) from error
        for name in ("replay", "replay_suite"):
            value = getattr(self, name)
            if value and not re.fullmatch(r"([\w.]+|.+\.py):[\w.]+", value):
                raise ValueError(f"{name} = {value!r} is not written as module:name or file.py:name")
        address = urlsplit(self.public_url)
        if self.public_url and (
            address.scheme not in ("http", "https")
            or not address.hostname
            or address.query
            or address.fragment
            or not re.fullmatch(r"(/[\w.~-]+)*/?", address.path)
        ):
            raise ValueError(
                f"public_url = {self.public_url!r} is no address such as https://tools.example.com/evalspan"
            )
        try:
            TrustedProxies(self.trusted_proxies)
        except ValueError as error:
            raise ValueError(f"trusted_proxies: {error}") from error

    @property
    def prefix(self) -> str:
        """The path under which the pages are, empty at the root."""
        return urlsplit(self.public_url).path.rstrip("/")
