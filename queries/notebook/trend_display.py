"""A score over time in a notebook: means with their 95 % intervals as a drawing and a table, as text where HTML is not shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from . import markup

WIDTH, HEIGHT, MARGIN = 640, 200, 36
MAX_LINES = len(markup.COLOURS)
Rows = list[dict[str, Any]]


class ScoreTrendDisplay:
    """The windows of a metric, oldest first: `rows` is what the named query score_trend gave, as dicts."""

    def __init__(self, metric: str, since: str, rows: Rows) -> None:
        self.metric = metric
        self.since = since
        self.rows = rows

    def __repr__(self) -> str:
        if not self.rows:
            return self._nothing()
        lines = [
            f"{row['window_start']:%Y-%m-%d %H:%M} {row['value']:<12} {_estimate(row)}  n {row['n']}"
            for row in self.rows
        ]
        return "\n".join([f"{self.metric}, {self.since}", *lines])

    def _repr_html_(self) -> str:
        if not self.rows:
            return f'<div style="{markup.FONT}">{markup.text(self._nothing())}</div>'
        shown = [
            [
                f"{row['window_start']:%Y-%m-%d %H:%M}",
                markup.text(_line_of(row)),
                _estimate(row),
                str(row["n"]),
                ""
                if row["pass_rate"] is None
                else f"{row['pass_rate']:.1%} [{row['pass_low']:.1%}, {row['pass_high']:.1%}]",
                f"{row['share_unscored']:.1%}",
            ]
            for row in self.rows
        ]
        table = markup.table(["window (UTC)", "", "mean, 95 % interval", "n", "passed", "unscored"], shown)
        heading = f"<b>{markup.text(self.metric)}</b>, {markup.text(self.since)}"
        return f'<div style="{markup.FONT}">{heading}<br>{self._drawing()}{markup.folded("table", table)}</div>'

    def _nothing(self) -> str:
        return f"no scores of {self.metric} in the last {self.since}"

    def _drawing(self) -> str:
        lines: dict[str, Rows] = {}
        for row in self.rows:
            if row["mean"] is not None:
                lines.setdefault(_line_of(row), []).append(row)
        if not lines:
            return "<i>nothing was scored</i>"
        drawn = sorted(lines, key=lambda name: -sum(row["n"] for row in lines[name]))[:MAX_LINES]
        scale = _Scale([row for name in drawn for row in lines[name]])
        parts = [scale.axes()]
        for colour, name in zip(markup.COLOURS, drawn, strict=False):
            parts.append(_curve(lines[name], scale, colour))
        keys = " ".join(
            f'<span style="color:{colour}">●</span> {markup.text(name or self.metric, 60)}'
            for colour, name in zip(markup.COLOURS, drawn, strict=False)
        )
        more = f" and {len(lines) - len(drawn)} more in the table" if len(lines) > len(drawn) else ""
        label = markup.text(f"{self.metric} over time")
        return (
            f'<svg role="img" aria-label="{label}" width="{WIDTH}" height="{HEIGHT}" '
            f'viewBox="0 0 {WIDTH} {HEIGHT}" style="max-width:100%">{"".join(parts)}</svg><div>{keys}{more}</div>'
        )


class _Scale:
    """Where a time and a value are on the drawing."""

    def __init__(self, rows: Rows) -> None:
        self.first = min(row["window_start"] for row in rows)
        self.last = max(row["window_start"] for row in rows)
        ends = [row[name] for row in rows for name in ("low", "mean", "high") if row[name] is not None]
        self.low: float = min(ends)
        self.high: float = max(ends)
        if self.low == self.high:
            self.low, self.high = self.low - 0.05, self.high + 0.05

    def x(self, moment: datetime) -> float:
        """From the left, in pixels; a single window is in the middle."""
        seconds = (self.last - self.first).total_seconds()
        place = (moment - self.first).total_seconds() / seconds if seconds else 0.5
        return MARGIN + place * (WIDTH - 2 * MARGIN)

    def y(self, value: float) -> float:
        """From the top, in pixels."""
        share: float = (value - self.low) / (self.high - self.low)
        return HEIGHT - 24 - share * (HEIGHT - 40)

    def axes(self) -> str:
        """The ends of both scales."""
        style = f'fill="currentColor" font-size="10" style="{markup.QUIET}"'
        return (
            f'<text x="2" y="{self.y(self.high) + 4:.1f}" {style}>{self.high:.3g}</text>'
            f'<text x="2" y="{self.y(self.low):.1f}" {style}>{self.low:.3g}</text>'
            f'<text x="{MARGIN}" y="{HEIGHT - 6}" {style}>{self.first:%Y-%m-%d %H:%M}</text>'
            f'<text x="{WIDTH - MARGIN}" y="{HEIGHT - 6}" text-anchor="end" {style}>{self.last:%Y-%m-%d %H:%M} UTC</text>'
        )


def _curve(rows: Rows, scale: _Scale, colour: str) -> str:
    known = [row for row in rows if row["low"] is not None]
    upper = [f"{scale.x(row['window_start']):.1f},{scale.y(row['high']):.1f}" for row in known]
    lower = [f"{scale.x(row['window_start']):.1f},{scale.y(row['low']):.1f}" for row in reversed(known)]
    means = [(scale.x(row["window_start"]), scale.y(row["mean"])) for row in rows]
    band = f'<polygon points="{" ".join([*upper, *lower])}" fill="{colour}" fill-opacity=".15"/>' if known else ""
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in means)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in means)
    return f'{band}<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>{dots}'


def _line_of(row: dict[str, Any]) -> str:
    """What a line is of: the value of the dimension, and the version where there are several."""
    return " ".join(part for part in (str(row["value"]), str(row["unit"]), str(row["evaluator_version"])) if part)


def _estimate(row: dict[str, Any]) -> str:
    if row["mean"] is None:
        return "-"
    interval = "" if row["low"] is None else f" [{row['low']:.3f}, {row['high']:.3f}]"
    return f"{row['mean']:.3f}{interval}"
