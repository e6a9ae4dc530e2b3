"""Runs cases: bounded concurrency, within a time budget; every case leaves a result.

The target and the evaluators always run. What may come from the cache are the answers of models that they ask.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import msgspec

from ...instrument.request_replay import ReplayScope, replaying
from ..contract import Evaluator, unit_of
from ..datasets import Example
from ..response_cache import ResponseCache, open_cache
from ..runner import EvaluationResult, run_evaluator
from ..trajectory.capture import providing
from ..trajectory.case_run import CaseRun, CaseSettings, run_case, unit_arguments
from ..trajectory.tool_calls import MAX_TOOL_CALLS, call_record
from ..trajectory.trace import Trace
from .block_os_exit import block_os_exit
from .case_verdict import CaseCause, CaseVerdict, judge_case, raise_to_golden
from .record import CaseResult
from .stdout_guard import stdout_to_stderr
from .target import Answer, DaemonThreads, Target

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
    case: CaseSettings = CaseSettings()
    """The model that plays simulated users, and whether tools are replayed."""


def run_cases(
    examples: Sequence[Example],
    target: Target,
    suite: Sequence[Evaluator],
    settings: RunSettings | None = None,
    *,
    progress: Callable[[CaseResult], None] | None = None,
) -> list[CaseResult]:
    """One result per example and repeat, in order. What the target prints goes to stderr: stdout is for data.

    Model answers are replayed from the cache that `use_cache` and EVALSPAN_CACHE name, unless it is off.
    """
    run = _Run(target, suite, settings or RunSettings(), open_cache("requests"), progress or (lambda _: None))
    with providing(), stdout_to_stderr(), block_os_exit():
        return asyncio.run(run.all(examples))


class _Run:
    def __init__(
        self,
        target: Target,
        suite: Sequence[Evaluator],
        settings: RunSettings,
        cache: ResponseCache | None,
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
        run = await self._ask(example, repeat)
        outcomes = [] if run.answer.error is not None else await self._scores(example, run, repeat)
        result = self._result(example, repeat, run.answer, outcomes, trace=run.trace)
        self.progress(result)
        return result

    async def _ask(self, example: Example, repeat: int) -> CaseRun:
        scope = self._scope(repeat)
        async with self.asking:
            with replaying(scope):
                run = await run_case(self.target, example, self.settings.timeout_s, self.settings.case, repeat=repeat)
        answer = run.answer
        if scope is None or self.cache is None or answer.error is not None:
            return run
        scope.commit(self.cache.put)
        if not scope.replayed_at:
            return run
        replayed = msgspec.structs.replace(
            answer,
            # As it was when the model was really asked: a replay says nothing about the target's speed.
            latency_s=answer.latency_s + scope.replayed_s,
            timestamp=answer.timestamp if scope.sent else scope.replayed_at,
            cached=not scope.sent,
        )
        return msgspec.structs.replace(run, answer=replayed)

    def _scope(self, repeat: int) -> ReplayScope | None:
        """Each repeat is a sample of its own, and so are two identical requests of one case."""
        return None if self.cache is None else ReplayScope(self.cache.get, str(repeat))

    async def _scores(self, example: Example, run: CaseRun, repeat: int) -> list[EvaluationResult]:
        return list(await asyncio.gather(*(self._score(one, example, run, repeat) for one in self.suite)))

    async def _score(self, evaluator: Evaluator, example: Example, run: CaseRun, repeat: int) -> EvaluationResult:
        scope = self._scope(repeat)
        async with self.scoring:
            with replaying(scope):
                outcome = await run_evaluator(
                    evaluator,
                    **unit_arguments(unit_of(evaluator), run, example),
                    expected=example.expected_output,
                    example=example,
                    timeout_s=self.settings.score_timeout_s,
                )
        if scope is not None and self.cache is not None and outcome.unscored is None:
            scope.commit(self.cache.put)
        return raise_to_golden(outcome, evaluator, example.partition)

    def _result(
        self,
        example: Example,
        repeat: int,
        answer: Answer,
        outcomes: list[EvaluationResult],
        *,
        late: bool = False,
        trace: Trace | None = None,
    ) -> CaseResult:
        verdict = judge_case(example, answer, outcomes, self.suite)
        if late:
            verdict = CaseVerdict("inconclusive", answer.error, CaseCause.OVER_BUDGET)
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
            status=verdict.status,
            passed={"passed": True, "failed": False}.get(verdict.status),
            failure_reason=verdict.reason,
            cause=verdict.cause,
            root_cause=example.root_cause,
            tags=example.tags,
            trace_id=str(answer.details.get("trace_id") or (trace.trace_id if trace else "")),
            tool_calls=[] if trace is None else [call_record(call) for call in trace.tool_calls[:MAX_TOOL_CALLS]],
            weight=_positive(example.metadata.get("sample_weight")),
            # Cases out of one conversation are not independent.
            cluster=str(example.metadata.get("cluster") or example.metadata.get("conversation_id") or ""),
        )


def _positive(value: object) -> float:
    return float(value) if isinstance(value, int | float) and value > 0 else 1.0
