"""The absolute judge: a model grades one output from 1 to 5 against criteria; several samples, never a default score.

Its name and version (model, prompt, criteria, everything that moves scores) are the identity of the metric.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Unpack

import msgspec

from ...errors import UsageError
from ..contract import (
    Direction,
    EvaluationWarning,
    Score,
    Unscored,
    UnscoredCause,
    fingerprint,
    reason_of,
    source_of,
    unscored_by,
)
from ..text.passages import passage_text
from .connection import Connection, caller_for
from .fencing import find_injections, strip_injections
from .material import asked_text, render_material, subject_of
from .prompts import Prompt, load_prompt
from .providers import Message, Request
from .samples import UNDERSPECIFIED, failures, spread, weighted_score
from .self_preference import self_preference_warning
from .structured import Verdict, add_costs, ask_structured, parse_json, schema_of

ANCHORS = {
    1: "Poor: harmful, wrong or useless",
    2: "Below average: serious gaps or errors",
    3: "Acceptable: does the job, with clear weaknesses",
    4: "Good: correct and helpful, small weaknesses",
    5: "Excellent: nothing could be improved",
}
DEFAULT_CRITERIA = ("correct", "helpful", "clear", "complete", "no longer than needed")
HIGHEST_TEMPERATURE = 0.3


class Grade(msgspec.Struct, frozen=True):
    """What the judge must answer."""

    reasoning: str
    score: Annotated[int, msgspec.Meta(ge=1, le=5)]
    strengths: list[str] = []
    weaknesses: list[str] = []


class Example(msgspec.Struct, frozen=True):
    """A response with its score, shown to the judge as an anchor; must not occur in what is evaluated."""

    response: str
    score: int
    reasoning: str = ""


class Judge:
    """Grades an output from 1 to 5; passes from `threshold` up.

    `criteria` and `task` say what counts; `anchors` describe the five levels and `examples` (two or three responses
    with scores) make them concrete. With `n_samples` above one, `details` hold mean, unbiased variance, range and
    `stable`. `logprobs` weights the score by the model's own probabilities where the API gives them. `subject_model`
    (else the span's model) is compared with the judge's family. `calibration` says on which human labels it was checked. A `safety_critical` judge must name the rule-based
    evaluator that stands beside it as `paired_rule`. `parse` plugs in specialised judges: a function from the model's
    text to a score of 1 to 5, with `schema` as the JSON Schema of that text, if it has one. Further keywords (provider, base_url, cache, budget, ...) are those of `Connection`.

    Raises UsageError for settings that cannot work.
    """

    kind = "judge"
    golden_threshold = 4.0
    """What a golden answer must reach in the gate."""
    source = "llm_judge"
    direction: Direction = "higher"
    timeout_s = 300.0

    def __init__(
        self,
        name: str = "judge",
        *,
        model: str,
        criteria: Sequence[str] | str = DEFAULT_CRITERIA,
        task: str = "Answer the input.",
        anchors: Mapping[int, str] | None = None,
        examples: Sequence[Example | tuple[Any, ...]] = (),
        n_samples: int = 1,
        temperature: float = HIGHEST_TEMPERATURE,
        threshold: float | None = 3.0,
        logprobs: bool = False,
        prompt: str | Path | Prompt = "absolute",
        parse: Callable[[str], float] | None = None,
        schema: dict[str, Any] | None = None,
        subject_model: str | None = None,
        calibration: str | None = None,
        safety_critical: bool = False,
        paired_rule: str | None = None,
        max_tokens: int = 800,
        **connection: Unpack[Connection],
    ) -> None:
        _check_settings(name, n_samples, temperature, safety_critical=safety_critical, paired_rule=paired_rule)
        self.name = name
        self.threshold = threshold
        self.n_samples = n_samples
        self.temperature = temperature
        self.subject_model = subject_model
        self.calibration = calibration
        self.safety_critical = safety_critical
        self.paired_rule = paired_rule
        self.prompt = load_prompt(prompt, slots=("material",))
        self.examples = tuple(one if isinstance(one, Example) else Example(*one) for one in examples)
        self.model, self._caller = caller_for(model, connection)
        self._logprobs, self._parse, self._max_tokens = logprobs, parse, max_tokens
        self._schema = schema if parse else schema_of(Grade)
        self_preference = self_preference_warning(self.model, subject_model)
        if self_preference:
            warnings.warn(f"judge {name!r}: {self_preference}", EvaluationWarning, stacklevel=2)
        self._values = {
            "task": task,
            "criteria": criteria if isinstance(criteria, str) else "\n".join(f"- {one}" for one in criteria),
            "anchors": _anchor_lines(anchors or ANCHORS),
            "examples": _example_lines(self.examples),
        }

    @property
    def calibrated(self) -> bool:
        """Whether it was checked against human labels, as `calibration` says."""
        return self.calibration is not None

    @property
    def version(self) -> str:
        """A fingerprint of everything that moves scores: model, prompt, criteria, anchors, samples, temperature."""
        return fingerprint(
            self._caller.identity, self.model, self.prompt.fingerprint, *self._values.values(), str(self.n_samples),
            str(self.temperature), str(self._logprobs), source_of(self._parse) + repr(self._schema) if self._parse else "",
        )  # fmt: skip

    @property
    def rubric(self) -> str:
        """What people need who judge by the same: the task, the criteria, the levels with their examples, what passes."""
        values = self._values
        parts = [f"Task: {values['task']}", f"Criteria:\n{values['criteria']}", f"Levels:\n{values['anchors']}"]
        parts += [values["examples"]] if values["examples"].strip() else []
        parts += [] if self.threshold is None else [f"Passes from {self.threshold:g} of 5."]
        return "\n\n".join(parts)

    def printed_prompt(self) -> str:
        """The prompt as the model gets it, with slots where the judged texts go."""
        system, user = self.prompt.render(**self._values, nonce="{{nonce}}", material="{{material}}")
        return f"# {self.prompt.name} {self.prompt.version} ({self.prompt.fingerprint})\n\n{system}\n\n{user}"

    async def evaluate(
        self, *, input: Any = None, output: Any = None, expected: Any = None, context: Any = None, span: Any = None,  # noqa: A002
        example: Any = None,  # noqa: ARG002 - the contract's
    ) -> Score | Unscored:  # fmt: skip
        """The score of an output; Unscored when no sample gave a valid verdict, or when the output gave the judge orders that changed it."""
        if output is None:
            return Unscored("no output")
        text = passage_text(output)
        parts = {"input": asked_text(input), "context": passage_text(context), "reference": passage_text(expected)}
        result = await self._sampled(parts, text, subject_of(span, self.subject_model))
        if isinstance(result, Unscored) or not find_injections(text):
            return result
        return self._compare(result, await self._sampled(parts, strip_injections(text), None))

    __call__ = evaluate

    def _compare(self, result: Score, control: Score | Unscored) -> Score | Unscored:
        # The canary: the same output without the sentences that address the judge must get the same verdict.
        cost = add_costs(result.details["cost_usd"], control.details.get("cost_usd"))
        details = {**result.details, "orders_to_the_judge": True, "cost_usd": cost}
        if isinstance(control, Unscored):
            said = f"the output gives the judge orders, and the control run failed: {control.reason}"
            return Unscored(said, details, control.cause)
        if result.value - control.value >= 1 or (result.passed and not control.passed):
            said = f"{control.value:g} without them, {result.value:g} with them"
            reason = f"the output gives the judge orders that changed its verdict: {said}"
            return Unscored(reason, details, UnscoredCause.ERROR)
        return msgspec.structs.replace(result, details=details)

    async def _sampled(self, parts: dict[str, str], text: str, subject: str | None) -> Score | Unscored:
        results = await asyncio.gather(
            *(self._sample(parts, text, repeat) for repeat in range(self.n_samples)), return_exceptions=True
        )
        verdicts = [one for one in results if isinstance(one, Verdict)]
        errors = failures(results)
        cost = add_costs(*(getattr(one, "cost_usd", 0.0) for one in results))
        if not verdicts:
            return unscored_by(errors[0], {"cost_usd": cost, "judge_model": self.model})
        return self._summed_up(
            verdicts, [reason_of(one) for one in errors], cost, self_preference_warning(self.model, subject)
        )

    def _summed_up(
        self, verdicts: Sequence[Verdict], errors: list[str], cost: float | None, self_preference: str | None
    ) -> Score:
        scores = [self._score_of(one) for one in verdicts]
        seen = spread(scores)
        grades: list[Grade] = [one.value for one in verdicts]
        details = {
            **msgspec.to_builtins(seen),
            "samples": scores,
            "reasonings": [grade.reasoning for grade in grades],
            "strengths": grades[0].strengths,
            "weaknesses": grades[0].weaknesses,
            "sample_errors": errors,
            "warnings": [note for note in (self_preference, UNDERSPECIFIED if seen.underspecified else None) if note],
            "repaired": sum(one.repaired for one in verdicts),
            "cached": sum(one.answer.cached for one in verdicts),
            "calibration": self.calibration or "uncalibrated",
            "judge_model": self.model,
            "prompt": f"{self.prompt.name} {self.prompt.version} ({self.prompt.fingerprint})",
            "cost_usd": cost,
        }
        passed = None if self.threshold is None else seen.mean >= self.threshold
        return Score(seen.mean, passed=passed, explanation=grades[0].reasoning, details=details)

    async def _sample(self, parts: dict[str, str], text: str, repeat: int) -> Verdict:
        def build(nonce: str) -> Request:
            material = render_material(nonce, **parts, response=text or "(empty)")
            system, user = self.prompt.render(**self._values, nonce=nonce, material=material)
            return Request(
                self.model,
                system,
                (Message("user", user),),
                self.temperature,
                self._max_tokens,
                "grade",
                self._schema,
                self._logprobs,
            )

        return await ask_structured(self._caller, build, self._read, texts=(*parts.values(), text), repeat=repeat)

    def _read(self, text: str) -> Grade:
        if self._parse is None:
            return parse_json(text, Grade)
        score = self._parse(text)
        if score != int(score) or not 1 <= score <= 5:
            raise ValueError(f"the score {score!r} is not an integer from 1 to 5")
        return Grade(text, int(score))

    def _score_of(self, verdict: Verdict) -> float:
        weighted = weighted_score(verdict.answer.reply) if self._logprobs else None
        return float(verdict.value.score) if weighted is None else weighted


def _check_settings(
    name: str, n_samples: int, temperature: float, *, safety_critical: bool, paired_rule: str | None
) -> None:
    if n_samples < 1:
        raise UsageError(f"judge {name!r}: n_samples is {n_samples}", hint="at least 1; 3 shows how stable it is")
    if safety_critical and not paired_rule:
        raise UsageError(
            f"judge {name!r} is safety-critical and has no paired rule: a judge alone can be talked round",
            hint="name a rule-based evaluator of the same suite: paired_rule='...'",
        )
    if temperature > HIGHEST_TEMPERATURE:
        warnings.warn(
            f"judge {name!r}: temperature {temperature:g} is above {HIGHEST_TEMPERATURE:g}, scores will vary more than "
            "quality does; use 0.3 or less",
            EvaluationWarning,
            stacklevel=3,
        )


def _anchor_lines(anchors: Mapping[int, str]) -> str:
    if set(anchors) != set(ANCHORS):
        raise UsageError(f"anchors for the levels {sorted(anchors)}", hint="describe each level from 1 to 5")
    return "\n".join(f"{level} = {anchors[level]}" for level in sorted(anchors))


def _example_lines(examples: Sequence[Example]) -> str:
    if not examples:
        return ""
    lines = [f"Response: {one.response}\nScore: {one.score}\nWhy: {one.reasoning}" for one in examples]
    return "\nExamples of scored responses:\n\n" + "\n\n".join(lines) + "\n"
