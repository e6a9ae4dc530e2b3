"""Keeps all rules going: in a thread of the service, or in `evalspan score --follow` processes that share by hash."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import EvalspanError, QueryError
from ...queries.rule_tables import RuleProblem
from ...queries.span_scoring_store import SpanScoringStore
from .config import EvaluationConfig, ReadyRule
from .worker import Meter, RuleWorker

if TYPE_CHECKING:
    from ...queries.store.protocol import StoreClient

_log = logging.getLogger(__name__)
_STORE_AWAY_S = 5.0


def checked(rules: Sequence[ReadyRule], queue: SpanScoringStore) -> tuple[list[ReadyRule], list[RuleProblem]]:
    """The rules whose condition ClickHouse accepts, and a problem for each other one."""
    good: list[ReadyRule] = []
    problems: list[RuleProblem] = []
    for ready in rules:
        try:
            queue.check_condition(ready.rule.where)
            good.append(ready)
        except QueryError as error:
            reason = str(error).split(". In scope ")[0].split(" (In: ")[0]
            said = f"where = {ready.rule.where!r} is not a condition over spans: {reason}"
            # The store's hint shows the statement, which is ours and of no help here.
            hint = "" if error.hint.startswith("In: ") else error.hint
            problems.append(RuleProblem(ready.rule.name, ready.source_location, said, hint, "rule"))
    return good, problems


class Follower:
    """All rules of a configuration, worked off until `stop`."""

    def __init__(
        self,
        store: StoreClient,
        rules: Sequence[ReadyRule],
        config: EvaluationConfig | None = None,
        *,
        shard: int = 0,
        shards: int = 1,
        count: Meter = lambda *_, **__: None,
        observe: Meter = lambda *_, **__: None,
    ) -> None:
        self.config = config or EvaluationConfig()
        queue = SpanScoringStore(store)
        self.workers = [
            RuleWorker(
                ready, queue, earlier=list(rules[:index]), shard=shard, shards=shards, count=count, observe=observe
            )
            for index, ready in enumerate(rules)
        ]
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ends `run` after the pages under way; what is left is taken up at the next start."""
        self._stop.set()

    def run(self) -> None:
        """Blocks until `stop`. A rule that fails waits and goes on; it never takes the others with it."""
        asyncio.run(self._run())

    async def catch_up(self) -> None:
        """Works until every rule has scored what was stored and quiet when it was called."""
        for worker in self.workers:
            idle = False
            while not idle and not self._stop.is_set():
                idle = await worker.tick(-1.0) == -1.0

    async def _run(self) -> None:
        await asyncio.gather(*(self._follow(worker) for worker in self.workers))

    async def _follow(self, worker: RuleWorker) -> None:
        while not self._stop.is_set():
            try:
                pause = await worker.tick(self.config.poll_s)
            except EvalspanError as error:
                _log.warning("rule %r: %s; trying again in %g s", worker.rule.name, error, _STORE_AWAY_S)
                pause = _STORE_AWAY_S
            except Exception:  # noqa: BLE001 - whatever it is, the other rules and the next try go on
                _log.exception("rule %r failed; trying again in %g s", worker.rule.name, _STORE_AWAY_S)
                pause = _STORE_AWAY_S
            await self._wait(pause)

    async def _wait(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.1)):
            if self._stop.is_set():
                return
            await asyncio.sleep(0.1)
        await asyncio.sleep(0)
