"""What every page shares in its URL: time range, project, environment and service; handed to each query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from ..errors import UsageError
from ..queries.durations import parse_duration

RANGES = {
    "15m": "15 minutes",
    "1h": "1 hour",
    "6h": "6 hours",
    "24h": "24 hours",
    "7d": "7 days",
    "14d": "14 days",
    "30d": "30 days",
    "90d": "90 days",
}
GLOBAL = ("since", "from", "to", "project", "environment", "service", "tz")
# The clock of a sender may be ahead of ours; its newest spans still belong to "now".
AHEAD = timedelta(minutes=5)
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""What times of spans lie between: ClickHouse's have nanoseconds, which end in 2262."""


@dataclass(frozen=True)
class Filters:
    """One reading of the URL; times are aware UTC, empty strings mean "all"."""

    since: str
    start: datetime
    end: datetime
    project: str
    environment: str
    service: str
    explicit: dict[str, str]
    """The global parameters that stood in the URL, carried along by every link."""
    zone: tzinfo = UTC
    """In which times are written and read: UTC, or the zone that `tz` names."""

    @classmethod
    def read(cls, query: Mapping[str, str], *, since: str, project: str | None = None) -> Filters:
        """Reads a URL's parameters; `project` is set when the key of the reader allows only one.

        Raises UsageError for a time range that cannot be read.
        """
        now = datetime.now(UTC)
        explicit = {name: query[name] for name in GLOBAL if query.get(name)}
        zone = zone_named(explicit.get("tz", ""))
        if "from" in explicit or "to" in explicit:
            end = instant(explicit["to"], zone) if "to" in explicit else now + AHEAD
            start = instant(explicit["from"], zone) if "from" in explicit else before(end, since)
            since = ""
        else:
            since = explicit.get("since", since)
            start, end = before(now, since), now + AHEAD
        if start >= end:
            raise UsageError(
                f"The range from {start:%F %T} to {end:%F %T} holds no time.", hint="`from` comes before `to`."
            )
        if project is not None:
            explicit.pop("project", None)
        own = explicit.get("project", "") if project is None else project
        return cls(since, start, end, own, explicit.get("environment", ""), explicit.get("service", ""), explicit, zone)

    @property
    def zone_name(self) -> str:
        """The name of the time zone, as headings write it."""
        return str(self.zone)

    def parameters(self) -> dict[str, str]:
        """The five parameters that every page query takes."""
        return {
            "start": stamp(self.start),
            "end": stamp(self.end),
            "project": self.project,
            "environment": self.environment,
            "service": self.service,
        }

    def url(self, path: str, **changes: Any) -> str:
        """A link that keeps the global parameters; an empty change removes one, a list repeats its parameter."""
        if not changes:
            return f"{path}?{self._carried}" if self._carried else path
        kept = {**self.explicit, **changes}
        query = urlencode({name.rstrip("_"): value for name, value in kept.items() if value}, doseq=True)
        return f"{path}?{query}" if query else path

    @cached_property
    def _carried(self) -> str:
        """What a link without parameters of its own carries along; a list has hundreds of them."""
        return urlencode(self.explicit)


def stamp(moment: datetime) -> str:
    """A moment as ClickHouse reads it in a DateTime64 parameter, UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def before(end: datetime, since: str) -> datetime:
    """The moment that long before `end`, no earlier than anything that can be stored; raises UsageError."""
    return FIRST if end - FIRST < parse_duration(since) else end - parse_duration(since)


def zone_named(name: str) -> tzinfo:
    """A time zone of the IANA database, UTC for none; raises UsageError for a name that it lacks."""
    if name in {"", "UTC"}:
        return UTC
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(
            f"{name!r} is no time zone.", hint="Write tz=Europe/Berlin, or leave it out for UTC."
        ) from error


def instant(text: str, zone: tzinfo = UTC) -> datetime:
    """An ISO 8601 moment within what ClickHouse's times hold, in `zone` when it names none; raises UsageError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no moment.", hint="Write it as 2026-01-31T18:00.") from error
    if not 1 < moment.year < 9999:  # a zone could carry it over the calendar's end
        return FIRST if moment.year == 1 else LAST
    return min(max(moment if moment.tzinfo else moment.replace(tzinfo=zone), FIRST), LAST)
