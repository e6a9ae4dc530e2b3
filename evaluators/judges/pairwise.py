"""The pairwise judge: which of two outputs is better, always asked in both orders; a verdict that turns is a tie."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Unpack

import msgspec

from ..contract import Direction, Score, Unscored, fingerprint, unscored_by
from ..text.passages import passage_text
from .connection import Connection, caller_for
from .judge import DEFAULT_CRITERIA
from .material import asked_text, render_material, subject_of
from .prompts import Prompt, load_prompt
from .providers import Message, Request
from .self_preference import self_preference_warning
from .structured import Verdict, add_costs, ask_structured, parse_json, schema_of

Winner = Literal["first", "second", "tie"]


class Preference(msgspec.Struct, frozen=True):
    """What the judge must answer."""

    reasoning: str
    winner: Literal["A", "B", "tie"]


class Comparison(msgspec.Struct, frozen=True):
    """Two outputs compared in both orders."""

    winner: Winner
    """A tie when the two orders disagree."""
    consistent: bool
    orders: tuple[Winner, Winner]
    """Who won when the first output was shown first, and when it was shown second."""
    reasonings: tuple[str, str]
    cost_usd: float | None


class PairwiseReport(msgspec.Struct, frozen=True):
    """Many comparisons. A judge whose consistent share is low says little, whatever the counts are."""

    n: int
    first: int
    second: int
    ties: int
    consistent_share: float
    position_bias: float | None
    """Among the pairs whose winner turned: the share that chose the one shown first. 0.5 is unbiased."""


class PairwiseJudge:
    """Compares the output with a rival; the score is 1 for a win, 0.5 for a tie, 0 for a loss.

    As an evaluator the rival is `expected` (a reference, or the baseline's output). `compare` takes any two outputs.
    Both orders are always asked and averaged; when they disagree the pair is a tie and `consistent` is False.
    """

    kind = "judge"
    source = "llm_judge"
    direction: Direction = "higher"
    timeout_s = 300.0

    def __init__(
        self,
        name: str = "pairwise",
        *,
        model: str,
        criteria: Sequence[str] | str = DEFAULT_CRITERIA,
        task: str = "Answer the input.",
        temperature: float = 0.0,
        threshold: float | None = 0.5,
        prompt: str | Path | Prompt = "pairwise",
        subject_model: str | None = None,
        max_tokens: int = 600,
        **connection: Unpack[Connection],
    ) -> None:
        self.name = name
        self.threshold = threshold
        self.subject_model = subject_model
        self.prompt = load_prompt(prompt, slots=("material",))
        self.model, self._caller = caller_for(model, connection)
        self._temperature, self._max_tokens = temperature, max_tokens
        self._values = {
            "task": task,
            "criteria": criteria if isinstance(criteria, str) else "\n".join(f"- {one}" for one in criteria),
        }

    @property
    def version(self) -> str:
        """A fingerprint of everything that moves verdicts."""
        return fingerprint(
            self._caller.identity,
            self.model,
            self.prompt.fingerprint,
            *self._values.values(),
            str(self._temperature),
        )

    async def evaluate(
        self,
        *,
        input: Any = None,  # noqa: A002
        output: Any = None,
        expected: Any = None,
        span: Any = None,
        **_: Any,
    ) -> Score | Unscored:
        """The output against `expected`; Unscored when either order has no verdict."""
        if output is None or expected is None:
            return Unscored("nothing to compare: a pairwise judge needs an output and an expected output")
        try:
            result = await self.compare(input=input, first=output, second=expected)
        except Exception as error:  # noqa: BLE001 - whatever the judge's endpoint did, there is no score
            details = {"cost_usd": getattr(error, "cost_usd", None), "judge_model": self.model}
            return unscored_by(error, details)
        value = {"first": 1.0, "tie": 0.5, "second": 0.0}[result.winner]
        self_preference = self_preference_warning(self.model, subject_of(span, self.subject_model))
        details = {
            **msgspec.to_builtins(result),
            "judge_model": self.model,
            "prompt": f"{self.prompt.name} {self.prompt.version} ({self.prompt.fingerprint})",
            "warnings": [self_preference] if self_preference else [],
        }
        label = {"first": "better", "tie": "tie", "second": "worse"}[result.winner]
        passed = None if self.threshold is None else value >= self.threshold
        return Score(value, label=label, passed=passed, explanation=result.reasonings[0], details=details)

    __call__ = evaluate

    async def compare(self, *, first: Any, second: Any, input: Any = None) -> Comparison:  # noqa: A002
        """The comparison of two outputs. Raises what `ask_structured` raises when either order has no verdict."""
        texts = (passage_text(first), passage_text(second))
        ahead, behind = await asyncio.gather(
            self._ask(asked_text(input), texts), self._ask(asked_text(input), texts[::-1])
        )
        one: Winner = {"A": "first", "B": "second"}.get(ahead.value.winner, "tie")  # type: ignore[assignment]
        other: Winner = {"A": "second", "B": "first"}.get(behind.value.winner, "tie")  # type: ignore[assignment]
        return Comparison(
            one if one == other else "tie",
            one == other,
            (one, other),
            (ahead.value.reasoning, behind.value.reasoning),
            add_costs(ahead.cost_usd, behind.cost_usd),
        )

    async def _ask(self, question: str, texts: tuple[str, ...]) -> Verdict:
        def build(nonce: str) -> Request:
            material = render_material(
                nonce, input=question, response_A=texts[0] or "(empty)", response_B=texts[1] or "(empty)"
            )
            system, user = self.prompt.render(**self._values, nonce=nonce, material=material)
            messages = (Message("user", user),)
            return Request(
                self.model, system, messages, self._temperature, self._max_tokens, "preference", schema_of(Preference)
            )

        return await ask_structured(
            self._caller, build, lambda text: parse_json(text, Preference), texts=(question, *texts)
        )


def pairwise_report(comparisons: Sequence[Comparison]) -> PairwiseReport:
    """Counts, consistent share and position bias. Raises ValueError without comparisons."""
    if not comparisons:
        raise ValueError("no comparisons to report on")
    counts = {winner: sum(one.winner == winner for one in comparisons) for winner in ("first", "second", "tie")}
    turned = [one for one in comparisons if "tie" not in one.orders and not one.consistent]
    # Turned verdicts chose by position: (first, second) chose what was shown first both times.
    bias = sum(one.orders == ("first", "second") for one in turned) / len(turned) if turned else None
    share = sum(one.consistent for one in comparisons) / len(comparisons)
    return PairwiseReport(len(comparisons), counts["first"], counts["second"], counts["tie"], share, bias)
