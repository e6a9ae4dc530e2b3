"""Runs cases: bounded concurrency, cached where nothing changed, within a time budget; every case leaves a result."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout

import msgspec

from ..datasets import Example
from ..evaluator import Evaluator
from ..runner import Outcome, run_evaluator
from .cache import Cache, key_of
from .case_verdict import raise_to_golden, rule
from .fingerprint import watching
from .record import CaseResult
from .target import Answer, DaemonThreads, Target, no_way_out

NOT_REACHED = "not run: the time budget of {0:g} s was used up"


class RunSettings(msgspec.Struct, frozen=True):
    """How to run: times in seconds."""

    concurrency: int = 5
    timeout_s: float = 60.0
    """For one answer."""
    score_timeout_s: float | None = None
    """For one score; None for each evaluator's own limit."""
    repeats: int = 1
    first_repeat: int = 0
    """The number of the first repeat: each has its own place in the cache."""
    golden_budget_s: float = 300.0
    budget_s: float = 1200.0
    """For the whole run, the golden cases included; these run first."""


def run_cases(
    examples: Sequence[Example],
    target: Target,
    suite: Sequence[Evaluator],
    settings: RunSettings | None = None,
    *,
    cache: Cache | None = None,
    progress: Callable[[CaseResult], None] | None = None,
) -> list[CaseResult]:
    """One result per example and repeat, in order. What the target prints goes to stderr: stdout is for data."""
    run = _Run(target, suite, settings or RunSettings(), cache, progress or (lambda _: None))
    with cache.open() if cache else nullcontext(), redirect_stdout(sys.stderr), watching("ours"), no_way_out():
        return asyncio.run(run.all(examples))


class _Run:
    def __init__(
        self,
        target: Target,
        suite: Sequence[Evaluator],
        settings: RunSettings,
        cache: Cache | None,
        progress: Callable[[CaseResult], None],
    ) -> None:
        self.target, self.suite, self.settings = target, suite, settings
        self.cache, self.progress = cache, progress
        # Two limits: slow judges must not keep the target idle, nor the other way round.
        self.asking = asyncio.Semaphore(settings.concurrency)
        self.scoring = asyncio.Semaphore(settings.concurrency)

    async def all(self, examples: Sequence[Example]) -> list[CaseResult]:
        asyncio.get_running_loop().set_default_executor(DaemonThreads())
        started = time.monotonic()
        golden = [example for example in examples if example.partition == "golden"]
        rest = [example for example in examples if example.partition != "golden"]
        done = await self._within(golden, min(self.settings.golden_budget_s, self.settings.budget_s))
        left = self.settings.budget_s - (time.monotonic() - started)
        done |= await self._within(rest, max(left, 0.001), self.settings.budget_s)
        repeats = self._repeats()
        return [done[example.id, repeat] for example in examples for repeat in repeats]

    def _repeats(self) -> range:
        return range(self.settings.first_repeat, self.settings.first_repeat + self.settings.repeats)

    async def _within(
        self, examples: Sequence[Example], seconds: float, named: float | None = None
    ) -> dict[tuple[str, int], CaseResult]:
        """All results of these cases; the ones that the budget did not reach say so."""
        wanted = [(example, repeat) for example in examples for repeat in self._repeats()]
        tasks = [asyncio.create_task(self._case(example, repeat)) for example, repeat in wanted]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        results = {}
        for (example, repeat), task in zip(wanted, tasks, strict=True):
            if task.cancelled():
                answer = Answer(None, error=NOT_REACHED.format(named or seconds))
                result = self._result(example, repeat, answer, [], late=True)
            elif task.exception() is not None:
                result = self._result(example, repeat, Answer(None, error=f"The run broke: {task.exception()!r}"), [])
            else:
                result = task.result()
            results[example.id, repeat] = result
        return results

    async def _case(self, example: Example, repeat: int) -> CaseResult:
        answer = await self._answer(example, repeat)
        outcomes = [] if answer.error is not None else await self._scores(example, answer, repeat)
        result = self._result(example, repeat, answer, outcomes)
        self.progress(result)
        return result

    async def _answer(self, example: Example, repeat: int) -> Answer:
        key = key_of("answer", example.input, repeat)
        kept = self.cache.answer(key) if self.cache else None
        if kept is not None:
            return kept
        async with self.asking:
            answer = await self.target.answer(example.input, self.settings.timeout_s)
        if self.cache:
            self.cache.keep(key, answer)
        return answer

    async def _scores(self, example: Example, answer: Answer, repeat: int) -> list[Outcome]:
        return list(await asyncio.gather(*(self._score(one, example, answer, repeat) for one in self.suite)))

    async def _score(self, evaluator: Evaluator, example: Example, answer: Answer, repeat: int) -> Outcome:
        context = answer.context if answer.context is not None else example.metadata.get("context")
        identity = (evaluator.name, evaluator.version, evaluator.direction, evaluator.threshold)
        key = key_of("score", identity, example.content_hash, answer.output, context, repeat)
        kept = self.cache.score(key, evaluator.name) if self.cache else None
        if kept is not None:
            return raise_to_golden(kept, evaluator, example.partition)
        async with self.scoring:
            outcome = await self._judge(evaluator, example, answer, context)
        if self.cache:
            self.cache.keep(key, outcome)
        return raise_to_golden(outcome, evaluator, example.partition)

    async def _judge(self, evaluator: Evaluator, example: Example, answer: Answer, context: object) -> Outcome:
        """One score; what even the evaluators' own safety valve lets through (`sys.exit`) is unscored too."""
        try:
            with watching(f"score:{evaluator.name}"):
                return await run_evaluator(
                    evaluator,
                    input=example.input,
                    output=answer.output,
                    expected=example.expected_output,
                    context=context,
                    example=example,
                    timeout_s=self.settings.score_timeout_s,
                )
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            reason = "it cancelled itself"
        except SystemExit as error:
            reason = f"it called sys.exit({error.code!r})"
        return Outcome(evaluator.name, evaluator.version, unscored=reason)

    def _result(
        self, example: Example, repeat: int, answer: Answer, outcomes: list[Outcome], *, late: bool = False
    ) -> CaseResult:
        ruling = rule(example, answer, outcomes, self.suite)
        status = "inconclusive" if late else ruling.status
        identity = self.target.identity
        return CaseResult(
            example_id=example.id,
            partition=example.partition,
            content_hash=example.content_hash,
            repeat=repeat,
            input=example.input,
            model_name=str(answer.details.get("model") or identity.model),
            prompt_version=str(answer.details.get("prompt_version") or identity.prompt_version),
            model_output=answer.output,
            context=answer.context,
            metrics=outcomes,
            latency_ms=round(answer.latency_s * 1000, 3),
            timestamp=answer.timestamp,
            status=status,
            passed={"passed": True, "failed": False}.get(status),
            failure_reason=ruling.reason,
            root_cause=example.root_cause,
            tags=example.tags,
            trace_id=str(answer.details.get("trace_id") or ""),
            weight=_positive(example.metadata.get("sample_weight")),
            cluster=str(example.metadata.get("cluster") or ""),
        )


def _positive(value: object) -> float:
    return float(value) if isinstance(value, int | float) and value > 0 else 1.0
