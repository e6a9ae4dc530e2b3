"""The `[alerts]` table of evalspan.toml: what is watched, when that is an alert, and who is told."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from ...errors import ConfigError, EvalspanError, did_you_mean

Severity = Literal["high", "medium", "low", "info"]


class AlertRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One rule: a named query, a condition on its rows, and how stubborn it is.

    Every row that meets `condition` (SQL over the query's columns) is an alert of its own for each combination of the
    columns in `by`. It fires after `after` looks in a row, is resolved after `recover` looks without, and is silent
    for `cool_down_s` seconds after that. Instead of a query, `telemetry` watches one of the service's own numbers
    (see /metrics), which the condition calls `value`, as in `value > 1e9`.
    """

    name: str
    condition: str
    query: str = ""
    telemetry: str = ""
    parameters: dict[str, Any] = {}
    by: tuple[str, ...] = ()
    severity: Severity = "medium"
    project: str = "default"
    every_s: float = 60.0
    after: int = 1
    recover: int = 2
    cool_down_s: float = 3600.0
    sinks: tuple[str, ...] = ()
    message: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w. -]{1,80}", self.name):
            raise ValueError(f"name {self.name!r} must be 1 to 80 letters, digits, spaces, '_', '.' or '-'")
        if bool(self.query) == bool(self.telemetry):
            raise ValueError("query is needed, or telemetry, and not both")
        for field in ("every_s", "after", "recover"):
            if not getattr(self, field) > 0:
                raise ValueError(f"{field} = {getattr(self, field)} must be above 0")
        if self.cool_down_s < 0:
            raise ValueError(f"cool_down_s = {self.cool_down_s} must not be negative")


class SinkConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Somebody who is told. Secrets are named by environment variable, so that the file can be shared."""

    name: str
    kind: Literal["webhook", "slack", "email", "command", "log"]
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
        needs = {
            "webhook": ("url", "url_env"),
            "slack": ("url", "url_env"),
            "email": ("smtp",),
            "command": ("command",),
        }
        wanted = needs.get(self.kind, ())
        if wanted and not any(getattr(self, field) for field in wanted):
            raise ValueError(f"kind {self.kind!r} needs {' or '.join(wanted)}")
        if self.kind == "email" and not (self.sender and self.to):
            raise ValueError("kind 'email' needs sender and to")
        if self.url and not re.match(r"https?://", self.url):
            raise ValueError(f"url = {self.url!r} must begin with http:// or https://")
        if self.smtp and not re.fullmatch(r"[^\s:]+(:\d{1,5})?", self.smtp):
            raise ValueError(f"smtp = {self.smtp!r} must be HOST or HOST:PORT")
        if not 0 < self.timeout_s < math.inf or self.tries < 1:
            raise ValueError("timeout_s must be above 0 and tries at least 1")


class AlertsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `[alerts]` may say. Rules and sinks are read one by one, so that a bad one does not stop the others."""

    enabled: bool = True
    """Watch at all."""
    built_in: bool = True
    """Watch with the built-in rules, too; a rule of the same name replaces one."""
    rules: tuple[dict[str, Any], ...] = ()
    sinks: tuple[dict[str, Any], ...] = ()


class Problem(msgspec.Struct, frozen=True):
    """Why a rule or sink is off, where it stands, and what to do."""

    name: str
    where: str
    reason: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.name!r} is off: {self.reason}" + (f" ({self.hint})" if self.hint else "")


# quality_degradation asks for evidence that stays honest under continuous looking, not for one low window.
BUILT_IN = (
    AlertRule(
        name="quality_degradation",
        query="e_detector",
        parameters={"direction": "decrease", "window_s": 21600, "horizon": 100},
        condition="alarm != ''",
        by=("metric",),
        severity="high",
        every_s=300,
        message="{metric} fell from {baseline_mean} to {mean}, since about {since}",
    ),
    AlertRule(
        name="operations_degradation",
        query="e_detector",
        parameters={"of": "usage", "direction": "increase", "window_s": 21600, "horizon": 100},
        condition="metric IN ('error_rate', 'latency', 'ttft', 'cost') AND alarm != ''",
        by=("metric",),
        severity="medium",
        every_s=300,
        message="{metric} of the model calls rose from {baseline_mean} to {mean}, since about {since}",
    ),
    AlertRule(
        name="pass_rate_low",
        query="score_trend",
        parameters={"since_s": 86400, "window_s": 21600},
        condition="pass_n >= 20 AND pass_high < 0.5",
        by=("metric",),
        severity="high",
        every_s=300,
        message="{metric}: {pass_rate} passed [{pass_low}, {pass_high}] in the window from {window_start}",
    ),
    AlertRule(
        name="evaluator_stopped",
        query="evaluator_silence",
        condition="calls_since >= 20 OR failures_since >= 20",
        by=("metric",),
        severity="high",
        every_s=300,
        message="{metric} made no score for {silent_s} s while {calls_since} calls came in. {reason}",
    ),
    AlertRule(
        name="evaluation_rule_stopped",
        query="evaluators_stopped",
        condition="1",
        by=("rule",),
        severity="high",
        every_s=300,
        message="online evaluation rule {rule}: {reason}",
    ),
    AlertRule(
        name="budget_reached",
        query="evaluation_funnel",
        condition="positionCaseInsensitive(waiting_for, 'budget') > 0",
        by=("rule",),
        severity="low",
        every_s=300,
        message="online evaluation rule {rule} waits: {waiting_for}",
    ),
    AlertRule(
        name="calibration_drift",
        query="judge_agreement",
        parameters={"window_s": 2419200},
        condition="pairs >= 20 AND kappa < 0.4",
        by=("metric", "evaluator_version"),
        severity="medium",
        every_s=3600,
        message="people and {metric} agree with kappa {kappa} only ({pairs} labels)",
    ),
    AlertRule(
        name="calibration_too_old",
        query="judge_agreement",
        parameters={"since_s": 31536000},
        condition="age_days > 90",
        by=("metric",),
        severity="low",
        every_s=3600,
        message="the newest human label of {metric} is {age_days} days old: `evalspan annotate` draws new ones",
    ),
    AlertRule(
        name="new_prompt_fingerprint",
        query="changes",
        parameters={"since_s": 86400, "baseline_s": 604800},
        condition="dimension = 'system_hash' AND is_new = 1",
        by=("value",),
        severity="info",
        every_s=300,
        message="a new system prompt {value} is used since {first_seen}, share {share_after}; before: {previous}",
    ),
    AlertRule(
        name="log_backlog",
        telemetry="log_backlog_bytes",
        condition="value > 1e9",
        severity="high",
        message="{value} bytes wait to be inserted: the store is slower than the traffic",
    ),
)

Kind = TypeVar("Kind", AlertRule, SinkConfig)


def read_rules(config: AlertsConfig, path: Path | None = None) -> tuple[list[AlertRule], list[Problem]]:
    """The rules that were written and the built-in ones they do not replace; a problem for each unreadable one."""
    rules, problems = _read(AlertRule, config.rules, "rules", path)
    taken = {rule.name for rule in rules} | {problem.name for problem in problems}
    return [*rules, *(rule for rule in BUILT_IN if config.built_in and rule.name not in taken)], problems


def read_sinks(config: AlertsConfig, path: Path | None = None) -> tuple[list[SinkConfig], list[Problem]]:
    """The sinks; without any there is the log."""
    sinks, problems = _read(SinkConfig, config.sinks, "sinks", path)
    return sinks or [SinkConfig(name="log", kind="log")], problems


def _read(
    kind: type[Kind], raw: Sequence[dict[str, Any]], table: str, path: Path | None
) -> tuple[list[Kind], list[Problem]]:
    good: list[Kind] = []
    problems: list[Problem] = []
    for index, values in enumerate(raw):
        key = "name"
        try:
            _refuse_unknown(kind, values)
            _refuse_unknown_kind(values.get("kind"))
            one = msgspec.convert(values, kind)
            if any(one.name == other.name for other in good):
                raise ConfigError("another one has this name", hint="give it a name of its own")
            good.append(one)
        except (EvalspanError, msgspec.ValidationError) as error:
            about = re.search(r"`\$\.(\w+)|field `(\w+)`|^(\w+) (?:=|is)", str(error))
            key = next(filter(None, about.groups()), key) if about else key
            name = str(values.get("name", f"number {index + 1}"))
            problems.append(Problem(name, place(path, table, index, key), str(error), getattr(error, "hint", "")))
    return good, problems


def _refuse_unknown(kind: type[msgspec.Struct], values: dict[str, Any]) -> None:
    for key in values:
        if key not in kind.__struct_fields__:
            raise ConfigError(f"unknown field `{key}`", hint=did_you_mean(key, kind.__struct_fields__))


def _refuse_unknown_kind(kind: Any) -> None:
    known = ("webhook", "slack", "email", "command", "log")
    if isinstance(kind, str) and kind not in known:
        raise ConfigError(f"kind = {kind!r} is unknown", hint=did_you_mean(kind, known))


def place(path: Path | None, table: str, index: int, key: str = "name") -> str:
    """`file:line` of a key in the n-th [[alerts.<table>]]; of its header when the key is not found."""
    if path is None or not path.is_file():
        return f"[[alerts.{table}]] number {index + 1}"
    header, seen = 1, -1
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if re.match(rf"\s*\[\[\s*alerts\.{table}\s*\]\]", line):
            seen += 1
            header = number if seen == index else header
        elif seen == index and re.match(rf"\s*{re.escape(key)}\s*=", line):
            return f"{path}:{number}"
    return f"{path}:{header}"
