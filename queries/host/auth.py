"""Who may send and read: API keys that name projects, `[auth]` of evalspan.toml."""

from __future__ import annotations

import hmac
import ipaddress

import msgspec

from ...errors import ConfigError

DEFAULT_PROJECT = "default"
LONGEST_PROJECT = 100  # bytes of a project's name


class AuthConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[auth]`: without keys the service is for this machine only."""

    keys: dict[str, str] = {}
    """API key = project. Clients send `Authorization: Bearer KEY`; their spans land in the project."""

    def __post_init__(self) -> None:
        for key, project in self.keys.items():
            if len(key) < 16:
                raise ValueError(f"the key of project {project!r} is shorter than 16 characters")
            if not 0 < len(project.encode()) <= LONGEST_PROJECT:
                raise ValueError(f"a project's name has 1 to {LONGEST_PROJECT} bytes, {project!r} does not")


class KeyRing:
    """Maps what a client presents to its project; `service_token` is the local command line's own key."""

    def __init__(self, config: AuthConfig, service_token: str) -> None:
        self._projects = dict(config.keys)
        self._service_token = service_token

    @property
    def open(self) -> bool:
        """Whether everybody who reaches the port may come in."""
        return not self._projects

    def is_service(self, authorization: str | None) -> bool:
        """Whether this is the token that service.json gives to the owner of the store's files."""
        return hmac.compare_digest(_bearer(authorization).encode(), self._service_token.encode())

    def project(self, authorization: str | None) -> str | None:
        """The project of the key in an Authorization header; None when it opens nothing."""
        if self.open or self.is_service(authorization):
            return DEFAULT_PROJECT
        presented = _bearer(authorization).encode()
        found = None
        for key, project in self._projects.items():  # all of them, so that time tells nothing
            if hmac.compare_digest(presented, key.encode()):
                found = project
        return found


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def refuse_open_door(host: str, auth: AuthConfig) -> None:
    """Raises ConfigError when the service would take and show everything to everybody on the network."""
    if not auth.keys and not is_loopback(host):
        raise ConfigError(
            f"[receive] host = {host!r} is reachable from other machines, and [auth] keys is empty.",
            hint='Set a key, e.g. keys = { "a-long-random-string" = "my-project" } under [auth], or bind 127.0.0.1.',
        )
