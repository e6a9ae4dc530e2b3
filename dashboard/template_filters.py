"""The template environment: autoescaped, with the filters that write numbers for people."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, pass_context
from jinja2.runtime import Context

HERE = Path(__file__).parent
NONE = "–"


_METHODS = frozenset(dir(dict))


class PageEnvironment(Environment):
    """Looks `row.name` up as a key at once: rows are dictionaries, and a list of traces asks four thousand times."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """The attribute, else the item, as Jinja says; a dictionary has no attributes but its methods."""
        if type(obj) is dict and attribute in obj and attribute not in _METHODS:
            return obj[attribute]
        return super().getattr(obj, attribute)


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The one environment of the process."""
    drawn = PageEnvironment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    drawn.filters.update(
        count=count,
        count_exact=count_exact,
        number=number,
        p_value=p_value,
        span_time=span_time,
        period=period,
        money=money,
        share=share,
        moment=moment,
        iso=iso,
        ago=ago,
        bound=bound,
        size=size,
        pretty=pretty,
        path_part=lambda value: quote(str(value), safe=""),
    )
    return drawn


def count(value: float | None) -> str:
    """1234567 as 1.2 M: weighted counts are estimates, more digits would pretend."""
    if value is None or not math.isfinite(value):
        return NONE
    for size_, unit in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if abs(value) >= size_:
            return f"{value / (1e3 if unit == ' k' else size_):,.1f}{unit}"
    return f"{value:,.0f}"


def count_exact(value: float | None) -> str:
    """1013 as 1,013: a number of things that a link opens is exact."""
    return NONE if value is None else f"{value:,.0f}"


def number(value: float | None, digits: int = 3) -> str:
    """A score or statistic with `digits` significant digits; a dash for none."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == int(value) and abs(value) < 1e6:
        return f"{value:,.0f}"
    if 0 < abs(value) < 1e-4:
        return f"{value:.0e}".replace("e-0", "e-")
    places = max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{min(places, 6)}f}"


def p_value(value: float | None) -> str:
    """A p-value with two digits; below 1e-12 only that it is: no p is zero."""
    if value is None or not math.isfinite(value):
        return NONE
    return "< 1e-12" if value < 1e-12 else number(value, 2)


def span_time(nanoseconds: float | None) -> str:
    """A duration in nanoseconds as 850 µs, 12 ms, 1.84 s, 2 m 05 s."""
    if nanoseconds is None or not math.isfinite(nanoseconds):
        return NONE
    seconds = nanoseconds / 1e9
    if seconds >= 60:
        return f"{seconds // 60:.0f} m {seconds % 60:02.0f} s"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.0f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} µs"


def period(seconds: float | None) -> str:
    """A length in its largest whole unit: 90 s, 5 min, 1 h, 7 d."""
    if not seconds:
        return NONE
    for size_, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size_ and seconds % size_ == 0:
            return f"{seconds // size_:.0f} {unit}"
    return f"{seconds:.0f} s"


def money(dollars: float | None) -> str:
    """US dollars with the digits that matter; a dash for an unknown price."""
    if dollars is None or not math.isfinite(dollars):
        return NONE
    if dollars == 0:
        return "$0"
    return (
        f"${dollars:,.2f}" if abs(dollars) >= 1 else f"${dollars:.{max(2, 1 - math.floor(math.log10(abs(dollars))))}f}"
    )


def share(value: float | None) -> str:
    """A proportion as per cent."""
    if value is None or not math.isfinite(value):
        return NONE
    percent = value * 100
    return f"{percent:.0f} %" if percent in {0, 100} or percent >= 99.95 else f"{percent:.1f} %"


def aware(value: datetime | str) -> datetime:
    """A moment of the store, which keeps UTC without saying so."""
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def iso(value: datetime | str | None) -> str:
    """A moment for machines and tooltips."""
    return aware(value).isoformat(timespec="milliseconds") if value else ""


@pass_context
def moment(page: Context, value: datetime | str | None, form: str = "%d %b %H:%M:%S") -> str:
    """A moment for people, in the page's time zone: UTC unless its address names another."""
    return aware(value).astimezone(page.get("tz") or UTC).strftime(form) if value else NONE


def ago(value: datetime | str | None, now: datetime) -> str:
    """How long ago, in one unit."""
    if not value:
        return NONE
    seconds = (now - aware(value)).total_seconds()
    for size_, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size_:
            return f"{seconds // size_:.0f} {unit} ago"
    return f"{seconds:.0f} s ago" if seconds >= 1 else "now"


def size(octets: float | None) -> str:
    """Bytes in the nearest unit."""
    value = float(octets or 0)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def bound(value: Any) -> str:
    """A query parameter as ClickHouse reads it from text: an array as ['a', 'b']."""
    if isinstance(value, (list, tuple)):
        inner = ", ".join("'" + str(item).replace("\\", "\\\\").replace("'", "\\'") + "'" for item in value)
        return f"[{inner}]"
    return str(value)


def pretty(text: Any) -> str:
    """JSON text indented for reading; any other text as it is."""
    try:
        value = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return str(text)
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)
