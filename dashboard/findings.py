"""What needs somebody, by rule: scores that got worse, cost and errors that rose, kinds of errors that are new; each with its cause."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from aiohttp import web

from ..evaluators.drift.change_point import ChangePoint, change_point
from ..queries.span_conditions import Condition, trace_filter
from .cost_causes import IDENTIFIERS, explaining
from .difference import compared, implied_by
from .filters import stamp
from .page_context import PageContext, Rows
from .result_cache import ResultCache
from .template_filters import aware, money, number, share

BACK, FURTHEST = timedelta(days=16), timedelta(days=60)
"""How far back a change is looked for: this far, or as far as the range of the page, up to the second."""
SCORE_BUCKET_S = 6 * 3600
MIN_Z = 5.0
"""Standardised difference from which a change counts: many series are looked at, at every split."""
MIN_SCORE, MIN_RATIO, MIN_ERROR_SHARE = 0.03, 1.5, 0.01
"""What a change must amount to: of a mean score, times the cost, of the share of failed traces."""
NEW_ERRORS, RECENT = 3, timedelta(hours=6)
BURST, MIN_BURST = 8.0, 5
"""An hour with this many times the usual failures of a kind, and at least five more, is a burst."""
MAX_CAUSES = 4
FINDINGS: web.AppKey[ResultCache[list[Finding]]] = web.AppKey("dashboard_findings")


@dataclass(frozen=True)
class Finding:
    """One thing that changed: what, where, since when, by how much, and what explains most of it."""

    kind: str
    metric: str
    service: str
    since: datetime
    before: float
    after: float
    z: float
    lasting: bool = True
    cause: str = ""
    address: str = ""
    alert: str = ""
    where: tuple[str, ...] = field(default=())
    unit: str = "span"
    both_ways: bool = False
    """Whether of several metrics some fell and some rose, each to the worse."""

    @property
    def key(self) -> str:
        """Names the finding in an address."""
        return f"{self.kind}:{self.service}:{self.metric}"

    def sentence(self) -> str:
        """The finding in one clause, without its cause."""
        at = self.since.strftime("%d %b" if self.kind in {"score", "cost"} else "%d %b %H:%M")
        if self.kind == "score":
            if self.both_ways:
                first = self.metric.partition(",")[0]
                return f"{self.metric} got worse since {at}: {first} {number(self.before)} to {number(self.after)}"
            word = "fell" if self.after < self.before else "rose"
            return f"{self.metric} {word} since {at}: {number(self.before)} to {number(self.after)}"
        if self.kind == "cost":
            times = self.after / self.before if self.before else 0.0
            return f"cost of {self.service or 'all'} is {number(times, 2)} times as high since {at}: {money(self.before)} to {money(self.after)} per day"
        if self.kind == "errors":
            return f"{self.service} fails more since {at}: {share(self.before)} to {share(self.after)} of its traces"
        count = f"{self.after:,.0f} time{'s' if round(self.after) != 1 else ''}"
        return f"{'new' if self.kind == 'new' else 'burst of'} {self.metric}{' since' if self.lasting else ' on'} {at}, {count}"


async def findings_of(context: PageContext) -> list[Finding]:
    """The findings up to the end of the page's range, most certain first; kept for a minute per scope."""
    filters = context.filters
    end = min(filters.end, context.host_now())
    back = min(max(BACK, end - filters.start), FURTHEST)
    key = (
        round(back / timedelta(hours=1)),
        filters.project,
        filters.environment,
        filters.service,
        end.strftime("%F %H:%M") if filters.since == "" else "",
    )
    return await context.request.app[FINDINGS].get(key, lambda: _look_for(context, end, back))


MAX_FINDINGS = 500
"""The clearest: each is compared with the others."""


async def _look_for(context: PageContext, end: datetime, back: timedelta) -> list[Finding]:
    times = {"start": stamp(end - back), "end": stamp(end)}
    series, directions, errors, alerts = await asyncio.gather(
        context.query("pages/finding_series", **times, bucket_s=SCORE_BUCKET_S),
        context.query("pages/directions"),
        context.query("pages/finding_errors", **times),
        context.query("pages/alerts"),
    )
    said = {row["name"]: bool(row["lower"]) for row in directions}
    found = _of_series([row for row in series if row["kind"] != "cost"], said)
    found += _of_series(per_day([row for row in series if row["kind"] == "cost"]), said)
    found += _of_errors(errors, end, back)
    found.sort(key=lambda one: (not one.lasting, -abs(one.z)))
    del found[MAX_FINDINGS:]
    caused = await asyncio.gather(*(_caused(context, one, end) for one in found[: 2 * MAX_CAUSES]))
    return _with_alerts(_deduplicated([*caused, *found[2 * MAX_CAUSES :]]), alerts)


def per_day(rows: Rows) -> Rows:
    """Rows of hours summed up over days, UTC: what a day costs has a weekly rhythm, what an hour costs a daily one too."""
    days: dict[tuple[str, datetime], dict[str, Any]] = {}
    for row in rows:
        day = aware(row["time"]).replace(hour=0, minute=0, second=0, microsecond=0)
        whole = days.setdefault((row["value"], day), {**row, "time": day, "n": 0, "total": 0.0, "amount": 0.0})
        for column in ("n", "total", "amount"):
            whole[column] += row[column]
    return list(days.values())


def lower_is_better(rows: Rows, said: bool | None) -> bool:
    """By what the evaluator says itself, else by its verdicts: whether what it failed scored higher than what it passed."""
    if said is not None:
        return said
    passed, failed = sum(row["passed_weight"] for row in rows), sum(row["failed_weight"] for row in rows)
    if not passed or not failed:
        return False
    return bool(sum(row["of_failed"] for row in rows) / failed > sum(row["of_passed"] for row in rows) / passed)


def _of_series(rows: Rows, said: dict[str, bool]) -> list[Finding]:
    """Changes of the mean of each series that last until now and are to the worse."""
    series: dict[tuple[str, str, str], Rows] = {}
    for row in rows:
        series.setdefault((row["kind"], row["unit"], row["value"]), []).append(row)
    found = []
    for (kind, unit, service), unordered in series.items():
        points = sorted(unordered, key=lambda row: row["time"])
        whole = points[:-1] if len(points) > 2 and kind == "cost" else points  # the last day is not over
        whole = whole[1:] if kind == "cost" else whole
        values = [p["amount"] if kind == "cost" else p["amount"] / p["total"] for p in whole]
        weights = [1.0 if kind == "cost" else float(p["n"]) for p in whole]
        change = change_point(values, weights)
        metric = kind.removeprefix("score.")
        lower = kind.startswith("score.") and lower_is_better(points, said.get(metric))
        if change is None or not _matters(kind, change, lower=lower):
            continue
        name = "score" if kind.startswith("score.") else kind
        since = aware(whole[change.index]["time"])
        found.append(Finding(name, metric, service, since, change.before, change.after, change.z, unit=unit))
    return found


def _matters(kind: str, change: ChangePoint, *, lower: bool = False) -> bool:
    """Whether a change is sure and large enough, and to the worse; `lower`: a lower score is the better one."""
    if abs(change.z) < MIN_Z:
        return False
    if kind == "cost":
        return change.after > MIN_RATIO * change.before
    if kind == "errors":
        return change.after - change.before >= MIN_ERROR_SHARE and change.after >= 2 * change.before
    return (change.after - change.before if lower else change.before - change.after) >= MIN_SCORE


def _of_errors(rows: Rows, end: datetime, back: timedelta) -> list[Finding]:
    """Kinds of errors that were never there before their first hour, or that came in a burst."""
    found = []
    for row in rows:
        first, last = aware(row["first_seen"]), aware(row["last_seen"])
        hours, counts = [aware(hour) for hour in row["hours"]], row["counts"]
        where = (f"{row['kind']}={row['at']}", f"error={row['error']}")
        metric = f"{row['error']} in {row['at']}"
        recent = end - last < RECENT
        if row["n"] >= NEW_ERRORS and end - first < timedelta(days=2) and recent:
            z = (sum(counts) ** 0.5) * 2
            found.append(Finding("new", metric, "", first, 0.0, sum(counts), z, where=where))
            continue
        every = sorted([*counts, *([0.0] * max(0, int(back / timedelta(hours=1)) - len(counts)))])
        usual = median(every)
        peaks = [at for at, count in enumerate(counts) if count >= usual * BURST + MIN_BURST]
        if peaks:
            begun, over = hours[peaks[0]], end - hours[peaks[-1]] > RECENT
            amount = sum(counts[at] for at in peaks)
            found.append(Finding("burst", metric, "", begun, usual, amount, amount**0.5, not over, where=where))
    return found


async def _caused(context: PageContext, finding: Finding, end: datetime) -> Finding:
    """The finding with what explains most of it, and the address where it is read on."""
    if finding.kind == "score":
        return await _cause_of_score(context, finding, end)
    if finding.kind == "cost":
        return await _cause_of_cost(context, finding, end)
    return await _cause_of_errors(context, finding, end)


def _range(finding: Finding, end: datetime, before: timedelta) -> dict[str, str]:
    return {"since": "", "from": (finding.since - before).strftime("%Y-%m-%dT%H:%MZ"), "to": end.strftime("%Y-%m-%dT%H:%MZ")}  # fmt: skip


async def _cause_of_score(context: PageContext, finding: Finding, end: datetime) -> Finding:
    """A prompt, model or fingerprint that came at that time and takes much of the service's calls."""
    around = {"start": stamp(finding.since - timedelta(days=4)), "end": stamp(end), "service": finding.service}
    rows = await context.query("pages/score_marks", name=finding.metric, unit=finding.unit, **around)
    near = [row for row in rows if abs(aware(row["time"]) - finding.since) <= timedelta(days=1)]
    best = max(near, key=lambda row: (row["kind"] != "evaluator", row["kind"] != "system", row["n"]), default=None)
    cause = f"{best['kind']} {best['value']}" if best else ""
    length = max(end - finding.since, timedelta(days=1))
    address = context.filters.url(
        "/why", metric=finding.metric, service=finding.service, **_range(finding, end, length)
    )
    where = (f"version={best['value']}",) if best and best["kind"] == "prompt" else ()
    return replace(finding, cause=cause, address=address, where=where)


async def _cause_of_cost(context: PageContext, finding: Finding, end: datetime) -> Finding:
    """The value of a column or attribute whose own rise is nearly all of it."""
    before = min(end - finding.since, timedelta(days=7))
    given = {"start": stamp(finding.since - before), "middle": stamp(finding.since), "end": stamp(end)}
    rows = await context.query("pages/cost_change", **given, service=finding.service)
    best = next(iter(explaining(rows)), None)
    cause = f"{'nearly all of it ' if best['part'] > 0.8 else ''}{best['key']} {best['value']}" if best and best["part"] > 0.4 else ""  # fmt: skip
    where = (f"{best['key']}={best['value']}",) if cause and best else ()
    address = context.filters.url("/cost", service=finding.service, middle=finding.since.strftime("%Y-%m-%dT%H:%MZ"), **_range(finding, end, before))  # fmt: skip
    return replace(finding, cause=cause, address=address, where=where)


async def _cause_of_errors(context: PageContext, finding: Finding, end: datetime) -> Finding:
    """The values that the failed traces have and the others have not."""
    conditions = [_condition(text) for text in finding.where] or [Condition("status", "=", "ERROR")]
    since = finding.since - timedelta(hours=1)
    scope = {"service": finding.service} if finding.service else {}
    given: dict[str, Any] = {
        "start": stamp(since),
        "end": stamp(end if finding.lasting else since + timedelta(hours=12)),
    }
    rows = compared(
        await context.query("pages/difference", trace_filter(conditions), **given, **scope), implied_by(conditions)
    )
    said = [row for row in rows if row["lift"] > 0.2 and row["share_in"] > 0.6 and row["key"] not in IDENTIFIERS | {"name", "operation", "tool", "agent"}]  # fmt: skip
    cause = " and ".join(f"{row['key']} {row['value']}" for row in said[:2])
    times = {"since": "", "from": since.strftime("%Y-%m-%dT%H:%MZ"), "to": "" if finding.lasting else (since + timedelta(hours=12)).strftime("%Y-%m-%dT%H:%MZ")}  # fmt: skip
    where = list(finding.where) or ["status=ERROR"]
    address = context.filters.url("/difference", where=where, **{**times, **({"service": finding.service} if finding.service else {})})  # fmt: skip
    return replace(finding, cause=cause, address=address)


def _condition(text: str) -> Condition:
    key, _, value = text.partition("=")
    return Condition(key, "=", value)


def _deduplicated(found: list[Finding]) -> list[Finding]:
    """Scores of one service that got worse at the same time are one finding, told by the largest; likewise bursts of one hour."""
    kept: list[Finding] = []
    for one in found:
        same = next((k for k in kept if k.kind == one.kind == "score" and k.service == one.service and abs(k.since - one.since) <= timedelta(days=1)), None)  # fmt: skip
        if same is None:
            kept.append(one)
        else:
            also = same.metric if one.metric in same.metric.split(", ") else f"{same.metric}, {one.metric}"
            turned = (one.after < one.before) != (same.after < same.before)
            kept[kept.index(same)] = replace(same, metric=also, both_ways=same.both_ways or turned)
    return kept


def _with_alerts(found: list[Finding], alerts: Rows) -> list[Finding]:
    """Findings know the alert that fires for the same metric; other firing alerts stand in front as they are."""
    firing = [row for row in alerts if row["state"] == "firing"]
    told, rest = [], list(firing)
    for one in found:
        alert = next((a for a in rest if a["labels"].get("metric") in one.metric.split(", ")), None)
        if alert:
            rest = [a for a in rest if a["labels"].get("metric") != alert["labels"].get("metric")]
        told.append(replace(one, alert=alert["alert_id"]) if alert else one)
    return told
