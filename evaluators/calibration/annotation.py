"""Weekly spot checks by people: draws calls by known probability, keeps labels as evaluations, reports agreement."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ...errors import UsageError
from ...queries import catalog
from ..evaluation_rows import evaluation_row
from ..runner import EvaluationResult
from ..trajectory.stored import with_trajectory_texts

if TYPE_CHECKING:
    from ...queries.store.protocol import StoreClient

WEEKLY = 20
PPI_LABELS = 40
GOOD_FROM = 4
LABEL_VERSION = "human"
"""The evaluator version of labels, wherever they are given: by page or command, one person's label is one row."""
Scale = Literal["pass-fail", "1-5"]


class Draw(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of one week to label, the same for every annotator; `open` are those this one has not labelled."""

    metric: str
    author: str
    project: str
    since: datetime
    until: datetime
    population: int
    calls: list[dict[str, Any]]

    @property
    def open(self) -> list[dict[str, Any]]:
        """What this author has still to label."""
        return [call for call in self.calls if not call["done"]]

    @property
    def week(self) -> str:
        """The ISO week, such as 2026-W47."""
        year, week, _ = self.since.isocalendar()
        return f"{year}-W{week:02d}"


def week_of(text: str, now: datetime | None = None) -> tuple[datetime, datetime]:
    """Monday to Monday (UTC) of "this" week, "last" week or an ISO week such as 2026-W47. Raises UsageError."""
    today = (now or datetime.now(UTC)).date()
    try:
        if text in ("this", "last"):
            monday = today - timedelta(days=today.weekday() + (7 if text == "last" else 0))
        else:
            monday = datetime.strptime(f"{text}-1", "%G-W%V-%u").replace(tzinfo=UTC).date()
    except ValueError:
        raise UsageError(
            f"{text!r} is not a week.", hint="Write this, last, or an ISO week such as 2026-W47."
        ) from None
    since = datetime(monday.year, monday.month, monday.day, tzinfo=UTC)
    return since, since + timedelta(days=7)


def draw(
    store: StoreClient,
    *,
    metric: str,
    author: str,
    week: str = "",
    count: int = WEEKLY,
    project: str = "default",
    service: str = "",
    environment: str = "",
    now: datetime | None = None,
) -> Draw:
    """Draws `count` calls of a week at random, among those the evaluator scored; among all if it scored none.

    Of an evaluator of traces or conversations these are drawn, with the trajectory in the place of the answer.

    Without a week: the last whole one, or the running one if that was empty. The same arguments draw the same calls.

    Raises:
        UsageError: a count below the weekly 20, or a week that is none.
    """
    if count < WEEKLY:
        raise UsageError(f"{count} labels a week say too little; at least {WEEKLY}.", hint=f"--count {WEEKLY} or more.")
    for text in [week] if week else ["last", "this"]:
        since, until = week_of(text, now)
        asked: dict[str, Any] = {
            "project": project,
            "service": service,
            "environment": environment,
            "metric": metric,
            "author": author,
            "since": since.isoformat(),
            "until": until.isoformat(),
            "count": count,
        }
        calls = with_trajectory_texts(store, catalog.get("annotation_draw_units").run(store, **asked).dicts(), project)
        for evaluated in (1, 0):
            calls = calls or catalog.get("annotation_draw").run(store, **asked, evaluated=evaluated).dicts()
        if calls:
            break
    return Draw(
        metric=metric,
        author=author,
        project=project,
        since=since,
        until=until,
        population=int(calls[0]["population"]) if calls else 0,
        calls=calls,
    )


def label_row(draw: Draw, call: dict[str, Any], *, score: float, passed: bool, note: str = "") -> dict[str, Any]:
    """A label as a row of `evaluations`; labelling again overwrites one's own label, never another's."""
    probability = float(call["probability"])
    outcome = EvaluationResult(
        name=draw.metric, version=LABEL_VERSION, value=score, passed=passed, explanation=note or None
    )
    return evaluation_row(
        outcome,
        project=draw.project,
        source="human",
        author=draw.author,
        span=call,
        evaluation_weight=1 / probability,
        unit=call.get("unit"),
        metadata={"draw": draw.week, "draw_probability": probability, "draw_population": int(call["population"])},
    )


def agreement_report(
    store: StoreClient,
    *,
    metric: str = "",
    project: str = "default",
    weeks: int = 13,
    now: datetime | None = None,
) -> dict[str, Any]:
    """Agreement week by week with its age, and the rates corrected by the labels where there are at least 40."""
    since_s = weeks * 7 * 86400
    until = now.isoformat() if now else ""
    agreement = catalog.get("judge_agreement").run(store, project=project, metric=metric, since_s=since_s, until=until)
    corrected = catalog.get("corrected_mean").run(store, project=project, metric=metric, since_s=since_s, until=until)
    rows = corrected.dicts()
    return {
        "weeks": agreement.dicts(),
        "corrected": [row for row in rows if row["labels"] >= PPI_LABELS],
        "not_yet": [
            f"{row['metric']}: {row['labels']} of {PPI_LABELS} labels" for row in rows if row["labels"] < PPI_LABELS
        ],
    }
