"""The pages that the benchmark asks for, under which goal; ranges end where the generated traffic ends."""

from __future__ import annotations

from typing import NamedTuple

DAY = "from=2026-11-30T00:{minute:02}&to=2026-11-30T23:{minute:02}"
MONTH = "from=2026-11-01T00:{minute:02}&to=2026-11-30T23:{minute:02}"
ANEW = "from=2026-11-24T00:{minute:02}&to=2026-11-30T{hour:02}:00"
"""Each turn asks for a range that nobody has asked for yet, so that nothing kept from an earlier request answers."""
TRACE = "d0ec0bd8e7b0a1c6"


class Asked(NamedTuple):
    """One address; `goal` in milliseconds at a million spans, `before` where the compared commit has the page elsewhere."""

    name: str
    path: str
    goal: int | None = 100
    before: str | None = ""
    """'' is the same address, None: it has no such page."""
    ratio: float | None = None
    """What part of the compared commit's processor time is to be reached."""


PAGES = (
    Asked("overview, 30 days", f"/?{MONTH}", before=None),
    Asked("overview, 30 days, one service", f"/?{MONTH}&service=shop", 150, None),
    Asked("traces, one day", f"/traces?{DAY}", ratio=0.5),
    Asked("traces, 30 days", f"/traces?{MONTH}", ratio=0.5),
    Asked("traces as JSON, 30 days", f"/traces.json?{MONTH}", ratio=0.5),
    Asked("traces, 30 days, one model", f"/traces?{MONTH}&model=claude-5-haiku", 150, ratio=0.5),
    Asked("traces, 30 days, an attribute", f"/traces?{MONTH}&where=evalspan.tag.plan%3Dpro", 150, f"/traces?{MONTH}&attribute=evalspan.tag.plan%3Dpro", 0.5),
    Asked("traces, 30 days, dearest first", f"/traces?{MONTH}&sort=cost", 150, None),
    Asked("traces of one evaluator's failures, one day", f"/traces?{DAY}&failed=faithfulness", 150, ratio=0.5),
    Asked("facets and outliers, one day", f"/traces/facets?{DAY}", 100, ratio=1),
    Asked("facets and outliers, 30 days", f"/traces/facets?{MONTH}", None, ratio=1),
    Asked("explore, 30 days", f"/explore?{MONTH}", before=None),
    Asked("explore, 30 days, a score by model", f"/explore?{MONTH}&measure=score.faithfulness&by=model", 150, None),
    Asked("conversations, 30 days", f"/sessions?{MONTH}", ratio=1.5),
    Asked("cost, 30 days", f"/cost?{MONTH}", before=None),
    Asked("prompts, 30 days", f"/prompts?{MONTH}", before=None),
    Asked("scores, 30 days", f"/scores?{MONTH}", ratio=0.5),
    Asked("scores, 30 days, one service", f"/scores?{MONTH}&service=shop", 150, ratio=0.5),
    Asked("alerts", "/alerts", ratio=1.5),
    Asked("drift, stands", f"/drift?{ANEW}", ratio=0.1),
    Asked("drift, complete", f"/drift?{ANEW}&wait=1", None, f"/drift?{ANEW}", 0.1),
    Asked("what users ask, complete", f"/drift/inputs?{ANEW}", None, ratio=0.1),
    Asked("review, stands", f"/review?{ANEW}", ratio=0.1),
    Asked("review, complete", f"/review?{ANEW}&wait=1", None, f"/review?{ANEW}", 0.1),
    Asked("annotate", f"/annotate?{MONTH}", ratio=1.5),
    Asked("datasets", "/datasets", ratio=1.5),
    Asked("experiments", "/experiments", ratio=1.5),
    Asked("status, 30 days", f"/status?{MONTH}", ratio=1.5),
    Asked("a rare text, one day", f"/traces?{DAY}&q=order%20that%20nobody%20sent", 200, ratio=0.1),
    Asked("a rare text, 30 days", f"/traces?{MONTH}&q=order%20that%20nobody%20sent", None, ratio=0.1),
)  # fmt: skip
