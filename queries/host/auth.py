"""Who may send and read: API keys that name projects, `[auth]` of evalspan.toml."""

from __future__ import annotations

import hmac
import ipaddress

import msgspec

from ...errors import ConfigError

DEFAULT_PROJECT = "default"
MAX_PROJECT_BYTES = 100
MIN_KEY_CHARACTERS = 16


class AuthConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[auth]`: without keys the service is for this machine only."""

    keys: dict[str, str] = {}
    """API key = project. Clients send `Authorization: Bearer KEY`; their spans land in the project."""
    operator_keys: list[str] = []
    """Keys of whoever runs the service: they see all projects, /metrics and /status included."""

    def __post_init__(self) -> None:
        wrong = []
        for key, project in self.keys.items():
            if len(key) < MIN_KEY_CHARACTERS:
                wrong.append(f"the key of project {project!r} is shorter than {MIN_KEY_CHARACTERS} characters")
            if not 0 < len(project.encode()) <= MAX_PROJECT_BYTES:
                wrong.append(f"a project's name has 1 to {MAX_PROJECT_BYTES} bytes, {project!r} does not")
        if wrong:
            raise ValueError(f"keys: {'; '.join(wrong)}")
        for place, key in enumerate(self.operator_keys, 1):
            if len(key) < MIN_KEY_CHARACTERS:
                wrong.append(f"number {place} is shorter than {MIN_KEY_CHARACTERS} characters")
            if key in self.keys:
                wrong.append(f"number {place} is also the key of project {self.keys[key]!r}")
            if key in self.operator_keys[: place - 1]:
                wrong.append(f"number {place} is there twice")
        if wrong:
            raise ValueError(f"operator_keys: {'; '.join(wrong)}")


class Access(msgspec.Struct, frozen=True):
    """What a request may do, decided once and carried with it."""

    project: str
    """Where what it sends lands."""
    sees_all: bool
    """Whether it may read every project, not its own alone."""

    @property
    def scope(self) -> str | None:
        """The only project that it may read, None for all."""
        return None if self.sees_all else self.project

    @property
    def holder(self) -> str:
        """Whose share of what all projects share it takes, "" for nobody's."""
        return "" if self.sees_all else self.project


EVERYTHING = Access(DEFAULT_PROJECT, sees_all=True)


class KeyRing:
    """Maps what a client presents to what it may do; `service_token` is the local command line's own key."""

    def __init__(self, config: AuthConfig, service_token: str) -> None:
        self._projects = dict(config.keys)
        self._operators = tuple(config.operator_keys)
        self._service_token = service_token

    @property
    def open(self) -> bool:
        """Whether everybody who reaches the port may come in."""
        return not self._projects and not self._operators

    @property
    def projects(self) -> int:
        """How many projects there are keys for."""
        return len(set(self._projects.values()))

    def is_service(self, authorization: str | None) -> bool:
        """Whether this is the token that service.json gives to the owner of the store's files."""
        return hmac.compare_digest(_bearer(authorization).encode(), self._service_token.encode())

    def access(self, authorization: str | None) -> Access | None:
        """What the key in an Authorization header may do; None when it opens nothing."""
        if self.open or self.is_service(authorization):
            return EVERYTHING
        presented = _bearer(authorization).encode()
        found = None
        for key, project in self._projects.items():  # all of them, so that time tells nothing
            if hmac.compare_digest(presented, key.encode()):
                found = Access(project, sees_all=False)
        for key in self._operators:
            if hmac.compare_digest(presented, key.encode()):
                found = EVERYTHING
        return found

    def project(self, authorization: str | None) -> str | None:
        """Where the spans of this key land; None when it opens nothing."""
        access = self.access(authorization)
        return access.project if access else None


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def refuse_open_door(host: str, auth: AuthConfig) -> None:
    """Raises ConfigError when the service would take and show everything to everybody on the network."""
    if not auth.keys and not auth.operator_keys and not is_loopback(host):
        raise ConfigError(
            f"[receive] host = {host!r} is reachable from other machines, and [auth] keys is empty.",
            hint='Set a key, e.g. keys = { "a-long-random-string" = "my-project" } under [auth], or bind 127.0.0.1.',
        )
