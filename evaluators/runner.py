"""Runs evaluators: in the loop or a thread, under a time limit, with the safety valve; hands outcomes to all who ask.

An EvaluationResult is what experiments, the gate, online evaluation and `evalspan score` store.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..errors import UsageError
from .contract import NO_TEXT_ANSWER, Evaluator, Score, Unscored, UnscoredCause, as_score, needs_answer, unscored_by

TIMEOUT_S = 60.0


class EvaluationResult(msgspec.Struct, frozen=True):
    """What became of one evaluator on one output: a value, or `unscored` with the reason; never both."""

    name: str
    version: str
    value: float | None = None
    label: str | None = None
    passed: bool | None = None
    """None when unscored, or when the evaluator has no notion of passing."""
    explanation: str | None = None
    details: dict[str, Any] = {}
    unscored: str | None = None
    cause: UnscoredCause | None = None
    """The kind of reason, None when scored."""
    cost_usd: float | None = None
    """Dollars spent on this judgement; None when nothing was spent or the price is unknown."""
    latency_s: float = 0.0


async def run_evaluator(
    evaluator: Evaluator,
    *,
    input: Any = None,  # noqa: A002 - the contract's word
    output: Any = None,
    expected: Any = None,
    context: Any = None,
    span: Any = None,
    trace: Any = None,
    conversation: Any = None,
    example: Any = None,
    timeout_s: float | None = None,
) -> EvaluationResult:
    """The outcome of one evaluator; an exception, a timeout or a NaN is unscored with its reason, never a pass.

    `timeout_s` defaults to the evaluator's own `timeout_s` (judges have one), else to 60 seconds.
    """
    started = time.perf_counter()
    if output is None and isinstance(span, Mapping) and span.get("output") and needs_answer(evaluator):
        return _outcome(evaluator, Unscored(NO_TEXT_ANSWER), 0.0)
    timeout_s = timeout_s or getattr(evaluator, "timeout_s", TIMEOUT_S)
    result: Score | Unscored
    try:
        # What runs inline cannot be interrupted, so a timer for it would only cost time.
        limit = asyncio.timeout(None if getattr(evaluator, "inline", False) else timeout_s)
        async with limit:
            # What existed before traces did need not know them: an evaluator of spans is not handed any.
            unit = getattr(evaluator, "unit", "span")
            more = {"trace": trace} if unit == "trace" else {"conversation": conversation} if unit != "span" else {}
            raw = await evaluator.evaluate(
                input=input, output=output, expected=expected, context=context, span=span, example=example, **more
            )
        result = as_score(raw, direction=evaluator.direction, threshold=evaluator.threshold)
    except TimeoutError as error:
        timed_out = Unscored(f"timed out after {timeout_s:g} s", {}, UnscoredCause.TIMEOUT)
        result = timed_out if limit.expired() else unscored_by(error)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        result = Unscored("it cancelled itself", {}, UnscoredCause.ERROR)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - the safety valve: a broken evaluator is a reason, not a crash
        result = unscored_by(error)
    return _outcome(evaluator, result, time.perf_counter() - started)


async def run_suite(
    suite: Sequence[Evaluator], *, timeout_s: float | None = None, **arguments: Any
) -> list[EvaluationResult]:
    """The outcomes of all evaluators on one output, at the same time, in the suite's order."""
    if all(getattr(one, "inline", False) for one in suite):  # nothing to wait for: no task for each
        return [await run_evaluator(one, timeout_s=timeout_s, **arguments) for one in suite]
    return list(await asyncio.gather(*(run_evaluator(one, timeout_s=timeout_s, **arguments) for one in suite)))


def check_suite(suite: Any, *, where: str = "the suite") -> list[Evaluator]:
    """The suite as a list of evaluators.

    Raises UsageError when it is empty, holds something else, holds one name twice (one would overwrite the other),
    holds a safety-critical judge whose paired rule is not in it, or a member that is not ready (no constraints).
    """
    members = list(suite) if isinstance(suite, Sequence | set) and not isinstance(suite, str) else [suite]
    if not members:
        raise UsageError(f"{where} is empty: with no evaluator everything would pass", hint="add an evaluator")
    for member in members:
        if isinstance(member, type) or not isinstance(member, Evaluator):
            kind = member.__name__ if isinstance(member, type) else type(member).__name__
            fix = f"make one: {kind}(...)" if isinstance(member, type) else "decorate it with @evaluator"
            raise UsageError(f"{where} holds {member!r} ({kind}), which is not an evaluator", hint=fix)
        ready = getattr(member, "ready", None)
        if ready is not None:
            ready()
    names = [member.name for member in members]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{where} holds two evaluators named {name!r}", hint="give one of them another name")
    _check_safety(members, where)
    return members


def _check_safety(members: Sequence[Evaluator], where: str) -> None:
    rules = {member.name for member in members if getattr(member, "source", "code") == "code"}
    for member in members:
        if not getattr(member, "safety_critical", False):
            continue
        pair = getattr(member, "paired_rule", None)
        if pair not in rules:
            raise UsageError(
                f"{where}: {member.name!r} is safety-critical and rests on a judge alone; its paired rule {pair!r} "
                f"is not among the rule-based evaluators ({', '.join(sorted(rules)) or 'none'})",
                hint="add the rule-based evaluator (for example Constraints) and name it as paired_rule",
            )


def _outcome(evaluator: Evaluator, result: Score | Unscored, latency_s: float) -> EvaluationResult:
    cost = result.details.get("cost_usd")
    cost_usd = float(cost) if isinstance(cost, int | float) and math.isfinite(cost) else None
    if isinstance(result, Unscored):
        return EvaluationResult(
            evaluator.name,
            evaluator.version,
            details=result.details,
            unscored=result.reason or "no reason given",
            cause=result.cause,
            cost_usd=cost_usd,
            latency_s=latency_s,
        )
    return EvaluationResult(
        evaluator.name,
        evaluator.version,
        result.value,
        result.label,
        result.passed,
        result.explanation,
        result.details,
        cost_usd=cost_usd,
        latency_s=latency_s,
    )
