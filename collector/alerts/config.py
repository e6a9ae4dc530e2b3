"""The `[alerts]` table of evalspan.toml: what is watched, when that is an alert, and who is notified."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from ...errors import ConfigError, UsageError
from ...queries.durations import parse_duration
from ...queries.rule_tables import RuleProblem, read_tables, source_location, unknown_choice
from .built_in import BUILT_IN
from .rule import AlertRule

SinkKind = Literal["webhook", "slack", "teams", "pagerduty", "opsgenie", "email", "command", "log"]
# What each kind cannot do without: one of the fields.
_NEEDS: dict[str, tuple[str, ...]] = {
    "webhook": ("url", "url_env"),
    "slack": ("url", "url_env"),
    "teams": ("url", "url_env"),
    "pagerduty": ("secret_env",),
    "opsgenie": ("secret_env",),
    "email": ("smtp",),
    "command": ("command",),
}


class SinkConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Somebody who is notified. Secrets are named by environment variable, so that the file can be shared.

    `secret_env` names the variable with the webhook's signing secret, PagerDuty's routing key, Opsgenie's API key or
    the mail server's password.
    """

    name: str
    kind: SinkKind
    url: str = ""
    url_env: str = ""
    secret_env: str = ""
    command: tuple[str, ...] = ()
    smtp: str = ""
    sender: str = ""
    to: tuple[str, ...] = ()
    username: str = ""
    timeout_s: float = 10.0
    tries: int = 5

    def __post_init__(self) -> None:
        if self.url and not re.match(r"https?://", self.url):
            raise ValueError(f"url = {self.url!r} must begin with http:// or https://")
        # The value may be a secret, and is not shown.
        given = os.environ.get(self.url_env, "") if self.url_env else ""
        if given and not re.match(r"https?://", given):
            raise ValueError(f"url_env: the value of {self.url_env} must begin with http:// or https://")
        port = re.fullmatch(r"[^\s:]+(?::(\d{1,5}))?", self.smtp)
        if self.smtp and not (port and 0 < int(port[1] or 25) <= 65535):
            raise ValueError(f"smtp = {self.smtp!r} must be HOST or HOST:PORT")
        if not 0 < self.timeout_s < math.inf:
            raise ValueError(f"timeout_s = {self.timeout_s} must be above 0")
        if self.tries < 1:
            raise ValueError(f"tries = {self.tries} must be at least 1")
        wanted = _NEEDS.get(self.kind, ())
        if wanted and not any(getattr(self, field) for field in wanted):
            raise ValueError(f"kind {self.kind!r} needs {' or '.join(wanted)}")
        if self.kind == "email" and not (self.sender and self.to):
            raise ValueError("kind 'email' needs sender and to")
        if self.kind == "email" and self.username and not self.secret_env:
            raise ValueError("username needs secret_env, the variable that holds the password")

    @property
    def missing_variable(self) -> tuple[str, str]:
        """The field and the environment variable that it names, when that is not set; else two empty texts."""
        for field in ("url_env", "secret_env"):
            name = getattr(self, field)
            if name and not os.environ.get(name) and not (field == "url_env" and self.url):
                return field, name
        return "", ""


class AlertsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `[alerts]` may say. Rules and sinks are read one by one, so that a bad one does not stop the others."""

    enabled: bool = True
    """Evaluate the rules at all."""
    built_in: bool = True
    """Evaluate the built-in rules, too; a rule of the same name replaces one."""
    rules: tuple[dict[str, Any], ...] = ()
    sinks: tuple[dict[str, Any], ...] = ()


def read_rules(config: AlertsConfig, path: Path | None = None) -> tuple[list[AlertRule], list[RuleProblem]]:
    """The rules that were written and the built-in ones they do not replace; a problem for each unreadable one."""
    rules, problems = read_tables(
        AlertRule, config.rules, "alerts.rules", path, prepare=_with_seconds, make=lambda one, _: one
    )
    taken = {rule.name for rule in rules} | {problem.name for problem in problems}
    return [*rules, *(rule for rule in BUILT_IN if config.built_in and rule.name not in taken)], problems


def read_sinks(config: AlertsConfig, path: Path | None = None) -> tuple[list[SinkConfig], list[RuleProblem]]:
    """The sinks; without any there is the log. A sink whose secret is not set is off: its first alert would be lost."""
    sinks, problems = read_tables(
        SinkConfig, config.sinks, "alerts.sinks", path, prepare=_known_kind, make=lambda one, index: (index, one)
    )
    ready = []
    for index, sink in sinks:
        field, variable = sink.missing_variable
        if variable:
            where = source_location(path, "alerts.sinks", index, field)
            reason = f"the environment variable {variable} is not set"
            problems.append(RuleProblem(sink.name, where, reason, f"set {variable} where `evalspan serve` starts"))
        else:
            ready.append(sink)
    return ready or [SinkConfig(name="log", kind="log")], problems


def _known_kind(values: dict[str, Any]) -> dict[str, Any]:
    unknown_choice("kind", values.get("kind"), get_args(SinkKind))
    return values


def _with_seconds(values: dict[str, Any]) -> dict[str, Any]:
    """`for`, `resolve_after` and `repeat_interval` may be written as 90s, 5m, 1h, 7d."""
    return {name: _seconds(name, value) if name in _LENGTHS else value for name, value in values.items()}


_LENGTHS: Sequence[str] = ("repeat_interval", "every_s")


def _seconds(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parse_duration(value).total_seconds()
    except UsageError as error:
        raise ConfigError(f"{name} = {value!r} is not a length of time", hint=error.hint) from error


__all__ = ["AlertRule", "AlertsConfig", "SinkConfig", "SinkKind", "read_rules", "read_sinks"]
