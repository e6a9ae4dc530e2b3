"""The store's settings, `[store]` and `[retention]` of evalspan.toml, and what a DSN may look like."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import msgspec

from ...errors import UsageError
from ..setting_checks import read_table

DATABASE = "evalspan"
DSN_HINT = (
    "Write chdb:///absolute/path for the embedded store, or https://user:password@host:8443/evalspan for a server."
)


class StoreConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[store]`: where the rows are."""

    dsn: str = ""
    """chdb:///path or http(s)://user:password@host:port/database; empty: the user's data directory."""
    readers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    """Queries that may run at the same moment."""
    cluster: str = ""
    """Name of the ClickHouse cluster; makes replicated and distributed tables. Servers only."""
    project: str = ""
    """The project that commands ask about, `EVALSPAN_PROJECT` for short; empty: `default`, and all of them in lists."""


class RetentionConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[retention]`: how long rows stay, in days; 0 keeps them for ever."""

    spans_days: Annotated[int, msgspec.Meta(ge=0)] = 30
    evaluations_days: Annotated[int, msgspec.Meta(ge=0)] = 180


class Location(msgspec.Struct, frozen=True):
    """A DSN taken apart."""

    embedded: bool
    path: str = ""
    host: str = ""
    port: int = 0
    secure: bool = False
    username: str = ""
    password: str = ""
    database: str = DATABASE
    certificate: str = ""
    """The file of the one certificate to trust: that of the service on this machine."""
    origin: str = ""
    """Where the DSN was set: --store, EVALSPAN_STORE, evalspan.toml:2, default."""

    @property
    def described(self) -> str:
        """The store and the setting that names it, for messages that have nothing to show."""
        return f"{self.shown} ({self.origin})"

    @property
    def shown(self) -> str:
        """The DSN for people: without the password."""
        if self.embedded:
            return f"chdb://{self.path}"
        user = f"{self.username}@" if self.username else ""
        return f"{'https' if self.secure else 'http'}://{user}{self.host}:{self.port}/{self.database}"

    def client_arguments(self) -> dict[str, Any]:
        """What clickhouse-connect's get_client takes for a server."""
        given: dict[str, Any] = {}
        if self.certificate:
            import urllib3

            from .owner_connection import owner_context

            given["pool_mgr"] = urllib3.PoolManager(ssl_context=owner_context(self.certificate), assert_hostname=False)
        elif self.secure and os.environ.get("SSL_CERT_FILE"):
            given["ca_cert"] = os.environ["SSL_CERT_FILE"]  # OpenSSL's own variable, which the driver does not read
        return {
            **given,
            "host": self.host,
            "port": self.port,
            "secure": self.secure,
            "username": self.username or "default",
            "password": self.password,
        }


def configured_dsn() -> tuple[str, str]:
    """The DSN without a flag, and where it was set: EVALSPAN_STORE, `[store] dsn`, else the user's data directory.

    Raises:
        ConfigError: the settings file cannot be read, or `[store]` in it is wrong.
    """
    store, sources = read_table("store", StoreConfig)
    if store.dsn:
        return store.dsn, sources.origins.get("store.dsn", "default")
    return _default_dsn(), "default"


def named_store(flag: str | None) -> Location | None:
    """The store that somebody named, by flag, variable or file; None where only the default is left. Raises as `parse_dsn`."""
    location = parse_dsn(flag)
    return None if location.origin == "default" else location


def configured_project() -> str:
    """The project without a flag: EVALSPAN_PROJECT, `[store] project`, else "". Raises as `configured_dsn`."""
    return read_table("store", StoreConfig)[0].project


def cluster_for(location: Location) -> str:
    """The cluster over which tables are made there, `[store] cluster`; none in an embedded store. Raises as `configured_dsn`."""
    return "" if location.embedded else read_table("store", StoreConfig)[0].cluster


def _default_dsn() -> str:
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return f"chdb://{base / 'evalspan'}"


def parse_dsn(dsn: str | Location | None) -> Location:
    """
    Takes a DSN apart; None or "" means what the settings name, else the default. What was taken apart stays as it is.

    Raises:
        UsageError: the scheme is none of ours, the path is missing, the port or the database name cannot be one.
    """
    if isinstance(dsn, Location):
        return dsn
    text, origin = (dsn, "--store") if dsn else configured_dsn()
    parts = urlsplit(text)
    if parts.scheme == "chdb":
        path = unquote(f"{parts.netloc}{parts.path}")
        if not path or "?" in text:
            raise UsageError(f"The store {text!r} names no directory.", hint=DSN_HINT)
        return Location(embedded=True, path=str(Path(path).expanduser().resolve()), origin=origin)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"The store {_without_password(text)!r} has no scheme that evalspan knows.", hint=DSN_HINT)
    secure = parts.scheme == "https"
    try:
        port = parts.port or (8443 if secure else 8123)
    except ValueError as error:
        raise UsageError(f"The port in the store's DSN is not a number up to 65535: {error}.", hint=DSN_HINT) from None
    database = parts.path.strip("/") or DATABASE
    if not database.replace("_", "").isalnum():
        raise UsageError(f"{database!r} cannot be the name of a database.", hint="Use letters, digits and underscores.")
    return Location(
        embedded=False,
        host=parts.hostname,
        port=port,
        secure=secure,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=database,
        origin=origin,
    )


def _without_password(text: str) -> str:
    before, at, after = text.rpartition("@")
    return f"{before.partition('//')[0]}//…{at}{after}" if at else text
