"""One alert rule: a named query, a condition on its rows, and how long it must hold."""

from __future__ import annotations

import math
import re
from string import Formatter
from typing import Any, Literal

import msgspec

from ...errors import UsageError
from ...queries.durations import parse_duration

_COLUMN = re.compile(r"[^\W\d]\w*")
Severity = Literal["high", "medium", "low", "info"]


class AlertRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename={"for_": "for"}):
    """A named query is run every `every_s` seconds; the rows that meet `condition` (SQL over its columns) are alerts.

    Each combination of the columns in `by` is an alert of its own. It fires once the condition has held `for` so many
    evaluations in a row (or for a length of time such as "10m"), is resolved after `resolve_after` without, and the same
    alert sends no second notice within `repeat_interval` seconds of its end. Instead of a query, `telemetry` watches one
    of the service's own numbers (see /metrics), which the condition calls `value`, as in `value > 1e9`.
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
    for_: int | str = 1
    resolve_after: int | str = 2
    repeat_interval: float = 3600.0
    sinks: tuple[str, ...] = ()
    message: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w. -]{1,80}", self.name):
            raise ValueError(f"name {self.name!r} must be 1 to 80 letters, digits, spaces, '_', '.' or '-'")
        if bool(self.query) == bool(self.telemetry):
            raise ValueError("query is needed, or telemetry, and not both")
        if not 0 < self.every_s < math.inf:
            raise ValueError(f"every_s = {self.every_s} must be above 0")
        if not 0 <= self.repeat_interval < math.inf:
            raise ValueError(f"repeat_interval = {self.repeat_interval} must not be negative")
        for field in ("for", "resolve_after"):
            _ = self._evaluations(field)
        check_message(self.message)

    @property
    def evaluations_to_fire(self) -> int:
        """Evaluations in a row that the condition must hold."""
        return self._evaluations("for")

    @property
    def evaluations_to_resolve(self) -> int:
        """Evaluations in a row without it until the alert is resolved."""
        return self._evaluations("resolve_after")

    def _evaluations(self, field: str) -> int:
        value = self.for_ if field == "for" else self.resolve_after
        if isinstance(value, int):
            if value < 1:
                raise ValueError(f"{field} = {value} must be above 0")
            return value
        try:
            return 1 + math.ceil(parse_duration(value).total_seconds() / self.every_s)
        except UsageError as error:
            raise ValueError(f"{field} = {value!r} is neither a number of evaluations nor a length of time") from error


def check_message(message: str) -> None:
    """Raises ValueError for a message that could not be filled in when the rule fires."""
    try:
        fields = list(Formatter().parse(message))
    except ValueError as error:
        raise ValueError(f"message {message!r}: {error}; a brace of its own is written twice, `{{{{`") from error
    for _, name, spec, conversion in fields:
        if name is None:
            continue
        if not _COLUMN.fullmatch(name):
            raise ValueError(f"message {message!r}: {{{name}}} is no column's name")
        if spec or conversion:
            raise ValueError(f"message {message!r}: {{{name}}} takes no format; numbers are rounded by themselves")
