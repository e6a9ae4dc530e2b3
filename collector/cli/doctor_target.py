"""Where `doctor` sends its span, and as whom: as the app would, else to the service that is found here, which is then said."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ...instrument.config import base_url
from ...queries.settings import Sources, read_sources
from ...queries.store.config import configured_project, parse_dsn
from ...queries.store.lock_file import Owner, service_of
from .doctor_http import Answer, ask, exporter_headers

_HOST, _PORT, _SQL_PORT = "127.0.0.1", 4318, 8123
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not bound


class Target(msgspec.Struct, frozen=True):
    """A collector as this command found it."""

    address: str
    """Its base URL."""
    sql: str
    """Its SQL port's URL."""
    headers: dict[str, str]
    certificate: str = ""
    """The file of the one certificate to trust: that of the service on this machine."""
    found: str = ""
    """Where the address comes from when the app does not have it."""
    own_key: bool = False
    """Whether the key is one that the app does not have: the service's token for this user, or one of `[auth]`."""

    def ask(self, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        """One request to a path below the address. Raises CollectorUnreachable."""
        return ask(f"{self.address}{path}", body, {**self.headers, **(headers or {})}, self.certificate)

    def ask_sql(self, query: str) -> Answer:
        """One request to the SQL port. Raises CollectorUnreachable."""
        return ask(f"{self.sql.rstrip('/')}/{query}", None, self.headers, self.certificate)

    def notes(self) -> list[str]:
        """What the app has to be told to do the same, a line each."""
        said = []
        if self.certificate:
            port = urlsplit(self.address).port
            said.append(
                f"the service presents {self.certificate}: the app needs OTEL_EXPORTER_OTLP_ENDPOINT=https://NAME:{port} with a "
                f"name that it is for, and OTEL_EXPORTER_OTLP_CERTIFICATE={self.certificate} unless its system trusts it"
            )
        elif self.found:
            said.append(
                f"{self.address} is from {self.found}: the app sends there with OTEL_EXPORTER_OTLP_ENDPOINT={self.address}"
            )
        if self.own_key and self._refuses_the_app():
            said.append(
                "the service asks for a key: the app needs one of [auth] keys, as "
                "OTEL_EXPORTER_OTLP_HEADERS='Authorization=Bearer KEY' or init(headers=...)"
            )
        return said

    def _refuses_the_app(self) -> bool:
        """Whether an empty request with what the app itself sends is refused."""
        headers = {**exporter_headers(None), "Content-Type": "application/x-protobuf"}
        return ask(f"{self.address}/v1/traces", b"", headers, self.certificate).status in (401, 403)


def find_target(endpoint: str | None, key: str | None, store: str | None) -> Target:
    """The flag, the app's variables, the service that runs on the store, `[receive]`, the default, in this order.

    Raises:
        UsageError: the store's DSN cannot be one, or the settings file cannot be read.
        ConfigError: the endpoint is no URL.
    """
    said = (("--endpoint", endpoint), *((name, os.environ.get(name)) for name in _ENDPOINTS))
    name, named = next(((name, value) for name, value in said if value), ("", ""))
    location = parse_dsn(store)
    owner = service_of(Path(location.path)) if location.embedded else None
    sources = read_sources()
    if named:
        return _named(base_url(named, name, over_http=True), key, owner, sources)
    if owner is not None:
        token = {} if key else {"Authorization": f"Bearer {owner.token}"}
        found = "" if _is_default(owner.http) else f"the service that runs on {location.shown}"
        headers = {**exporter_headers(key), **token}
        return Target(owner.http, owner.sql, headers, owner.certificate, found, own_key=not key)
    return _of_settings(key, sources)


def _named(address: str, key: str | None, owner: Owner | None, sources: Sources) -> Target:
    """What the app is told itself: where the address is a service of this machine, its SQL port is known."""
    if owner is not None and address == owner.http.rstrip("/"):
        return Target(address, owner.sql, exporter_headers(key or owner.token), own_key=not key)
    own = _of_settings(key, sources)
    if address == own.address:
        return Target(address, own.sql, own.headers, own_key=own.own_key)
    parts = urlsplit(address)
    return Target(address, f"{parts.scheme}://{parts.hostname}:{_SQL_PORT}", exporter_headers(key))


def _of_settings(key: str | None, sources: Sources) -> Target:
    """Where a service with these settings answers on this machine."""
    receive = _table(sources, "receive")
    host = receive.get("host", _HOST)
    host = _HOST if not isinstance(host, str) or host in _EVERYWHERE else host
    port = receive.get("port") if isinstance(receive.get("port"), int) and receive["port"] else _PORT
    sql_port = receive.get("sql_port") if isinstance(receive.get("sql_port"), int) else _SQL_PORT
    certificate = receive.get("tls_cert") if isinstance(receive.get("tls_cert"), str) else ""
    scheme = "https" if certificate else "http"
    shown = f"[{host}]" if ":" in host else host
    address = f"{scheme}://{shown}:{port}"
    origins = [sources.origins[f"receive.{name}"] for name in ("host", "port", "tls_cert") if name in receive]
    headers, own_key = _key_of_settings(key, sources)
    return Target(
        address,
        f"{scheme}://{shown}:{sql_port}",
        headers,
        str(Path(certificate).expanduser().resolve()) if certificate else "",
        "" if _is_default(address) else ", ".join(dict.fromkeys(origins)),
        own_key,
    )


def _key_of_settings(key: str | None, sources: Sources) -> tuple[dict[str, str], bool]:
    headers = exporter_headers(key)
    if any(name.lower() == "authorization" for name in headers):
        return headers, False
    auth = _table(sources, "auth")
    keys = auth["keys"] if isinstance(auth.get("keys"), dict) else {}
    operators = auth["operator_keys"] if isinstance(auth.get("operator_keys"), list) else []
    wanted = configured_project()
    of_project = [one for one, project in keys.items() if not wanted or project == wanted]
    for found in (of_project, operators):
        if found and isinstance(found[0], str):
            return {**headers, "Authorization": f"Bearer {found[0]}"}, True
    return headers, False


def _table(sources: Sources, name: str) -> Mapping[str, Any]:
    found = sources.values.get(name)
    return found if isinstance(found, dict) else {}


def _is_default(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "http" and parts.hostname in (_HOST, "localhost") and parts.port == _PORT
