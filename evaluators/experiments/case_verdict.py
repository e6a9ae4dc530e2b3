"""The verdict on one case: constraints, then hallucination, then similarity, then the judge; anything unclear is no pass."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Literal

import msgspec

from ..contract import Evaluator
from ..datasets import Example
from ..runner import EvaluationResult
from .target import Answer

Status = Literal["passed", "failed", "inconclusive"]

KINDS = ("constraints", "hallucination", "similarity", "judge")


class CaseCause(enum.Enum):
    """What decided a case that did not pass."""

    NO_ANSWER = "no_answer"
    FAILED = "failed"
    UNSCORED = "unscored"
    NOT_REVIEWED = "not_reviewed"
    NO_THRESHOLD = "no_threshold"
    OVER_BUDGET = "over_budget"
    """The time budget of the run did not reach it."""
    UNSTABLE = "unstable"
    """Its repeats at the threshold disagree."""


class CaseVerdict(msgspec.Struct, frozen=True):
    """What became of one case, and why."""

    status: Status
    reason: str | None = None
    cause: CaseCause | None = None
    """None for a passed case."""


def kind_of(evaluator: object) -> str:
    """Which of the four kinds an evaluator is: its own `kind`, else by its source and name."""
    own = getattr(evaluator, "kind", None)
    if own in KINDS:
        return str(own)
    if getattr(evaluator, "source", "code") == "llm_judge":
        return "judge"
    name = str(getattr(evaluator, "name", "")).lower()
    return "hallucination" if any(word in name for word in ("hallucin", "faithful", "ground")) else "reference"


def in_order(suite: Sequence[Evaluator]) -> list[Evaluator]:
    """The suite in the order in which its failures are named; rules of the user's own stand with similarity."""
    rank = {"constraints": 0, "hallucination": 1, "similarity": 2, "reference": 2, "judge": 3}
    return sorted(suite, key=lambda one: rank[kind_of(one)])


def golden_bar(evaluator: Evaluator) -> float | None:
    """What a golden answer must reach, never less than the evaluator's threshold; None without `golden_threshold`."""
    own = getattr(evaluator, "golden_threshold", None)
    if own is None or evaluator.direction != "higher":
        return None
    return max(float(own), evaluator.threshold or 0.0)


def raise_to_golden(outcome: EvaluationResult, evaluator: Evaluator, partition: str) -> EvaluationResult:
    """The outcome under the golden bar: a golden answer needs more similarity and a better judgement."""
    bar = golden_bar(evaluator) if partition == "golden" else None
    if bar is None or outcome.passed is not True or outcome.value is None or outcome.value >= bar:
        return outcome
    said = f"{outcome.value:.3g} is below the golden bar of {bar:g}"
    return msgspec.structs.replace(outcome, passed=False, explanation=said)


def judge_case(
    example: Example, answer: Answer, outcomes: Sequence[EvaluationResult], suite: Sequence[Evaluator]
) -> CaseVerdict:
    """The verdict on one answer. A failure outweighs what could not be scored, and that outweighs every pass."""
    if answer.error is not None:
        return CaseVerdict("failed", answer.error, CaseCause.NO_ANSWER)
    by_name = {outcome.name: outcome for outcome in outcomes}
    missing = [one.name for one in suite if one.name not in by_name]
    ordered = [by_name[one.name] for one in in_order(suite) if one.name in by_name]
    for outcome in ordered:
        if outcome.passed is False and outcome.unscored is None:
            return CaseVerdict("failed", f"{outcome.name}: {describe(outcome)}", CaseCause.FAILED)
    for outcome in ordered:
        if outcome.unscored is not None:
            reason = f"{outcome.name} could not score it: {outcome.unscored}"
            return CaseVerdict("inconclusive", reason, CaseCause.UNSCORED)
    if missing:
        return CaseVerdict("inconclusive", f"{missing[0]} gave no score", CaseCause.UNSCORED)
    if not any(outcome.passed for outcome in ordered):
        reason = "no evaluator of the suite says what passes: give one a threshold"
        return CaseVerdict("inconclusive", reason, CaseCause.NO_THRESHOLD)
    if example.pending:
        reason = "exported but not reviewed: nobody has said what a right answer is"
        return CaseVerdict("inconclusive", reason, CaseCause.NOT_REVIEWED)
    return CaseVerdict("passed")


def describe(outcome: EvaluationResult) -> str:
    """The outcome in a few words: its explanation, else its label, else its value."""
    said = outcome.explanation or outcome.label
    value = f"{outcome.value:.3g}" if outcome.value is not None else "no value"
    return f"{value}, {said}" if said else value
