"""Works off one rule: plans a window of stored spans, scores it, writes the rows, keeps its place; safe to kill anywhere."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from ...queries.allocation_store import stratum_of
from ...queries.span_scoring_store import SpanScoringStore
from ..contract import UnscoredCause
from ..evaluation_rows import Source, evaluation_row
from ..rubrics import RubricWriter
from ..runner import EvaluationResult, run_suite
from .allocation import inclusion_sql
from .budget import spans_left
from .config import ReadyRule
from .state import Plan, State, state_from
from .units import Item, SpanUnits, units_of

_log = logging.getLogger(__name__)
PAGE = 1000  # spans that are scored between two looks at the store, where scoring is quick
ROUNDS = 8  # and how many rounds of concurrent calls where it is not: what kill -9 may cost
HEARTBEAT_MS = 30_000
BUDGET_SPENT = "the budget is spent: its spans wait for the next one"
FIRST_PAUSE_S, MAX_PAUSE_S = 1.0, 60.0
# A judgement that failed in passing is tried again: so often, and at least so long while nothing else succeeds.
ATTEMPTS, PATIENCE_S = 5, 3600.0
# After the clock went back, spans and evaluations of the last hour are looked at again: how long it was unnoticed is unknown.
OVERLAP_MS, CLOCK_STEP_MS = 3_600_000, 1_000
RETRIED = (UnscoredCause.TRANSIENT, UnscoredCause.TIMEOUT)
Meter = Callable[..., None]
Judged = tuple[Item, list[EvaluationResult]]


class RuleWorker:
    """One rule and one share of its spans. `tick` does what there is to do and says how long to wait then."""

    def __init__(
        self,
        ready: ReadyRule,
        queue: SpanScoringStore,
        *,
        earlier: list[ReadyRule] | None = None,
        shard: int = 0,
        shards: int = 1,
        count: Meter = lambda *_, **__: None,
        observe: Meter = lambda *_, **__: None,
    ) -> None:
        rule = ready.rule
        self.rule, self.suite, self.queue = rule, ready.suite, queue
        self.shard, self.shards = shard, shards
        self.units = units_of(ready, queue, earlier=earlier or (), shard=shard, shards=shards)
        self.consumer = f"online/{rule.name}/{shard}-{shards}"
        self.state = State(rule.name, f"{shard}/{shards}", rule.stream, [one.name for one in self.suite])
        self.position = -1
        self._count, self._observe = count, observe
        self._pause_s = 0.0
        self._attempts: Counter[tuple[str, str]] = Counter()
        self._first_failed = 0.0
        self._slots = asyncio.Semaphore(rule.concurrency)
        self._rubrics = RubricWriter(queue.store)
        quick = all(getattr(one, "inline", False) for one in ready.suite)
        self._page_size = PAGE if quick else ROUNDS * rule.concurrency
        # What has to be over before a unit is scored: a moment after a span, the silence after a conversation.
        self._wait_s = rule.idle_s if ready.unit == "conversation" else rule.quiet_s

    async def tick(self, idle_s: float) -> float:
        """Score at most one page; returns the seconds until there may be more to do."""
        if self.position < 0:
            await asyncio.to_thread(self._resume)
        if self.state.plan is None and not await asyncio.to_thread(self._make_plan):
            return idle_s
        items = await asyncio.to_thread(self._page)
        if not items:
            await asyncio.to_thread(self._finish_plan)
            return 0.0
        if self._pause_s:
            items = [random.choice(items)]  # one probe while the judge is away, not always the same unit
        await self._score(items)
        return self._pause_s

    def _resume(self) -> None:
        saved = self.queue.load(self.consumer)
        if saved is not None:
            self.position, row = saved
            kept = state_from(row)
            kept.evaluators, kept.stream, kept.problem = self.state.evaluators, self.state.stream, ""
            kept.retired = False
            self.state = kept
            if kept.plan is not None:
                self._allocate(kept.plan.inclusion)
            return
        joined = self.queue.starting_point(self.rule.name, self.shards)
        begin = self.rule.backfill_ms
        now = self.queue.now()
        self.position = joined if joined is not None else now if begin is None else begin
        self.state.progress_ms, self.state.started_ms = now, self.position
        self._save()

    def _make_plan(self) -> bool:
        """Closes the window up to now minus the quiet time; False when there is nothing to score in it yet."""
        now = self.queue.now()
        judged_since = self._heed_clock(now)
        until = min(now - int(self._wait_s * 1000), self.queue.visible_until(now))
        if until <= self.position:
            return False
        inclusion = self._allocate()
        counts = self.units.counts(self.position, until, self.rule.share)
        cutoff, over = self.rule.share, 0
        if counts.sampled:
            left = self._budget_left(now)
            if left == 0:
                self._wait_for_budget(counts.sampled, now)
                return False
            if left is not None and left < counts.sampled:
                # Taken in the order of their lots, the spans within the budget are a random sample of the whole window,
                # and the first lot beyond it is the probability that each of them had (Duffield et al. 2007).
                cutoff = self.units.cutoff(self.position, until, left) or cutoff
                over = counts.sampled - left
        self.state.seen += counts.seen
        self.state.matched += counts.matched
        self.state.sampled += counts.sampled
        self.state.over_budget += over
        self._tell(seen=counts.seen, matched=counts.matched, sampled=counts.sampled, over_budget=over)
        if not counts.sampled:
            self.position, self.state.progress_ms, self.state.queued = until, now, 0
            self._save_idle(now, changed=bool(counts.seen))
            return False
        self.state.plan = Plan(self.position, until, cutoff, judged_since, inclusion)
        self.state.queued, self.state.heartbeat_ms, self.state.retrying = counts.sampled - over, now, ""
        self._save()
        return True

    def _heed_clock(self, now: int) -> int:
        """
        Takes a position in the future back: the clock was ahead, and what is stored now would wait until it is there again.

        Returns since when evaluations count for the next plan: what was judged in the hours that are looked at again is done.
        """
        if self.position <= now + CLOCK_STEP_MS:
            return now
        _log.warning("rule %r: the clock went back by %.0f s", self.rule.name, (self.position - now) / 1000)
        self.position = now - OVERLAP_MS
        return self.position

    def _allocate(self, inclusion: str | None = None) -> str:
        """Gives each span a probability of its own under `probability = "auto"`: as planned, else as learned now."""
        if self.rule.probability != "auto" or not isinstance(self.units, SpanUnits):
            return "1"
        if inclusion is None:
            inclusion = inclusion_sql(self.rule, [one.name for one in self.suite], self.queue)
        self.units.allocate(inclusion, stratum_of(self.rule.segment, self.rule.proxy))
        return inclusion

    def _budget_left(self, now: int) -> int | None:
        def spent(since: int) -> tuple[int, float]:
            return self.queue.spent(self.rule.name, self.shard, self.shards, since)

        return spans_left(self.rule, len(self.suite), now, self.shards, spent)

    def _wait_for_budget(self, sampled: int, now: int) -> None:
        """The window stays open: what comes meanwhile is drawn together with it when the next budget begins."""
        self.state.progress_ms = now
        changed = self.state.retrying != BUDGET_SPENT
        self.state.queued, self.state.retrying = sampled, BUDGET_SPENT
        self._save_idle(now, changed=changed)

    def _page(self) -> list[Item]:
        plan = self.state.plan
        assert plan is not None
        if plan.planned_at > time.time() * 1000 and plan.planned_at > (now := self.queue.now()):
            # The clock went back: what is judged from now on would seem older than the plan, and be judged for ever.
            plan.planned_at = now - OVERLAP_MS
        return self.units.page((plan.after, plan.until), plan.cutoff, self._done(plan), self._page_size)

    def _done(self, plan: Plan) -> dict[str, Any]:
        return {
            "names": [one.name for one in self.suite],
            "versions": [one.version for one in self.suite],
            "author": self._author,
            "since": plan.planned_at,
        }

    @property
    def _author(self) -> str:
        return f"targeted:{self.rule.name}" if self.rule.stream == "targeted" else ""

    async def _score(self, items: list[Item]) -> None:
        judged = list(zip(items, await asyncio.gather(*map(self._judge, items)), strict=True))
        away = [pair for pair in judged if _is_transient(pair[1])]
        settled = [pair for pair in judged if not _is_transient(pair[1])]
        given_up = self._give_up(away)
        if settled or given_up:
            await asyncio.to_thread(self._write, settled + given_up)
            self._pause_s, self._first_failed, self.state.retrying = 0.0, 0.0, ""
        if away and not settled:
            reason = next(one.unscored for one in away[0][1] if one.unscored)
            self._back_off(str(reason))
            await asyncio.to_thread(self._save)

    async def _judge(self, item: Item) -> list[EvaluationResult]:
        if item.refused:
            return [EvaluationResult(one.name, one.version, unscored=item.refused) for one in self.suite]
        async with self._slots:
            began = time.perf_counter()
            try:
                return await run_suite(self.suite, timeout_s=self.rule.timeout_s, **item.arguments())
            finally:
                self._observe("evaluation_duration_seconds", time.perf_counter() - began, rule=self.rule.name)

    def _give_up(self, away: list[Judged]) -> list[Judged]:
        """Units whose judgement failed too often: written as unscored, with the reason, so that they are counted."""
        now = time.monotonic()
        self._first_failed = self._first_failed or now
        given_up = []
        for item, outcomes in away:
            self._attempts[item.key] += 1
            outage = self._pause_s > 0 and now - self._first_failed < PATIENCE_S
            if self._attempts[item.key] >= ATTEMPTS and not outage:
                del self._attempts[item.key]
                given_up.append((item, outcomes))
        return given_up

    def _back_off(self, reason: str) -> None:
        self._pause_s = min(max(2 * self._pause_s, FIRST_PAUSE_S), MAX_PAUSE_S)
        if not self.state.retrying:
            _log.warning("rule %r: the judge is away, its spans wait: %s", self.rule.name, reason)
        self.state.retrying = reason
        self._tell(retries=1)

    def _write(self, judged: list[Judged]) -> None:
        plan = self.state.plan
        assert plan is not None
        rows = [self._row(item, outcome, plan) for item, outcomes in judged for outcome in outcomes]
        # In one insert with what they replace: nobody sees a unit without its number, or with two.
        self.queue.store.insert("evaluations", [*rows, *self.units.superseded(rows)])
        self._rubrics.write({str(row["project"]) for row in rows}, self.suite)
        scored = sum(outcome.unscored is None for _, outcomes in judged for outcome in outcomes)
        failed = sum(_is_transient(outcomes) for _, outcomes in judged)
        self.state.finished += len(judged)
        self.state.failed += failed
        self.state.queued = max(0, self.state.queued - len(judged))
        if scored:
            self.state.progress_ms = int(time.time() * 1000)
        self._tell(scored=scored, unscored=len(rows) - scored, failed=failed)

    def _row(self, item: Item, outcome: EvaluationResult, plan: Plan) -> dict[str, Any]:
        targeted = self.rule.stream == "targeted"
        evaluator = next(one for one in self.suite if one.name == outcome.name)
        source: Source = getattr(evaluator, "source", "code")
        details = {"rule": self.rule.name, "stream": self.rule.stream, "probability": f"{plan.cutoff:.9g}"}
        attributes = item.row.get("attributes") or {}
        return evaluation_row(
            outcome,
            project=str(item.row["project"]),
            source=source,
            author=self._author,
            span=item.row,
            segment=str(attributes.get(self.rule.segment, "")) if self.rule.segment else "",
            # Harvested failures are no sample of anything: weight 0 keeps them out of every weighted number.
            evaluation_weight=0.0 if targeted else _weight(item, plan),
            metadata={**details, **item.details},
            unit=self.units.unit,
        )

    def _finish_plan(self) -> None:
        plan = self.state.plan
        assert plan is not None
        self.position, self.state.plan, self.state.queued = plan.until, None, 0
        self.state.heartbeat_ms = int(time.time() * 1000)
        self._attempts.clear()
        self._save()

    def _save_idle(self, now: int, *, changed: bool) -> None:
        """A sign of life, not a row for every look at an empty queue."""
        if changed or now - self.state.heartbeat_ms >= HEARTBEAT_MS:
            self.state.heartbeat_ms = now
            self._save()

    def _save(self) -> None:
        project = "default" if self.rule.project == "*" else self.rule.project
        self.queue.save(self.consumer, project, self.position, self.state.as_row())

    def _tell(self, **amounts: int) -> None:
        for outcome, amount in amounts.items():
            if amount:
                self._count("online_evaluation_total", amount, rule=self.rule.name, stage=outcome)


def _weight(item: Item, plan: Plan) -> float:
    own = item.details.get("probability")
    return plan.weight if own is None else 1 / float(own)


def _is_transient(outcomes: list[EvaluationResult]) -> bool:
    """Whether any evaluator failed for a reason that will pass."""
    return any(outcome.cause in RETRIED for outcome in outcomes)
