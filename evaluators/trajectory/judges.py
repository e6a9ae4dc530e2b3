"""Judges of whole traces and conversations: a model grades the rendered trajectory, fenced, sampled, by another family.

What does not fit is cut in the middle, marked where it was, and counted in the score's details.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from ..contract import Direction, Score, Unit, Unscored
from ..judges.judge import Judge
from ..judges.pairwise import Comparison, PairwiseJudge
from .conversation import Conversation, last_root, representative
from .expected_calls import NO_SPANS
from .render import MAX_CHARACTERS, Rendered, render_conversation, render_trace
from .trace import Trace


class TrajectoryJudge(Judge):
    """What judges of traces and of conversations share: a task, criteria, anchors and a limit to what is rendered."""

    task: str
    criteria: tuple[str, ...]
    anchors: ClassVar[Mapping[int, str] | None] = None
    default_name: str
    default_threshold: float | None = 3.0

    def __init__(self, name: str = "", *, model: str, max_characters: int = MAX_CHARACTERS, **settings: Any) -> None:
        settings = {
            "task": self.task,
            "criteria": self.criteria,
            "anchors": self.anchors,
            "threshold": self.default_threshold,
            **settings,
        }
        super().__init__(name or self.default_name, model=model, **settings)
        self.max_characters = max_characters

    async def _grade(
        self, rendered: Rendered, *, goal: str | None, span: Any, complete: bool = True, **arguments: Any
    ) -> Score | Unscored:
        """The grade of a rendered trajectory, with what of it the judge did not see."""
        result = await super().evaluate(input=goal, output=rendered.text, span=span, **arguments)
        return _with_cut(result, rendered, complete=complete)


class TraceJudge(TrajectoryJudge):
    """Grades a trace from 1 to 5 by what its agent did, step by step. Settings are those of `Judge`."""

    unit: Unit = "trace"
    task = (
        "An agent worked on the user's request, with the tools it had. Its steps are listed in order, then its answer."
    )
    criteria: tuple[str, ...] = ("the request was carried out", "the steps were sensible")
    default_name = "trace_judge"

    async def evaluate(
        self, *, trace: Trace | None = None, expected: Any = None, example: Any = None, **_: Any
    ) -> Score | Unscored:
        """The grade of a trace; Unscored without one, or when no sample gave a valid verdict."""
        if trace is None or not trace.spans:
            return Unscored(NO_SPANS)
        return await self._grade(
            render_trace(trace, self.max_characters),
            goal=_goal(example) or trace.question,
            span=representative(trace),
            complete=trace.complete,
            expected=expected,
            example=example,
        )


class TaskCompleted(TraceJudge):
    """Was what the user asked for done, as far as the steps show it? Passes at 4."""

    default_name = "task_completed"
    default_threshold = 4.0
    criteria = (
        "everything that the user asked for was done, or refused for a good reason that the answer gives",
        "what the answer claims to have done is shown by the tool calls and their results",
        "the answer's facts agree with what the tools returned",
    )
    anchors: ClassVar[Mapping[int, str] | None] = {
        1: "Nothing of the request was done, or the answer claims what did not happen",
        2: "A small part was done, or the result is wrong",
        3: "The main part was done, something that was asked for is missing",
        4: "Done, with small flaws that the user can live with",
        5: "Everything was done, and the steps prove it",
    }


class PlanSensible(TraceJudge):
    """Were the steps a sensible way to the goal? The result does not count here, the way does. Passes at 3."""

    default_name = "plan_sensible"
    criteria = (
        "every step serves the request; none is repeated without a reason",
        "the tools and their arguments fit what was known at that point",
        "errors led to another attempt or another way, not to a guess",
        "nothing that matters was done before it was checked or confirmed",
    )
    anchors: ClassVar[Mapping[int, str] | None] = {
        1: "Aimless: the steps do not serve the request, or do harm",
        2: "Most steps are wrong, repeated or in the wrong order",
        3: "Acceptable, with clear detours",
        4: "Sensible, with one small detour",
        5: "The shortest sensible way",
    }


class ConversationJudge(TrajectoryJudge):
    """Grades a conversation from 1 to 5. Settings are those of `Judge`."""

    unit: Unit = "conversation"
    task = (
        "A user talks with an assistant over several turns. The whole conversation is listed, with the tools it used."
    )
    criteria: tuple[str, ...] = ("the user got what they came for",)
    default_name = "conversation_judge"

    async def evaluate(
        self, *, conversation: Conversation | None = None, expected: Any = None, example: Any = None, **_: Any
    ) -> Score | Unscored:
        """The grade of a conversation; Unscored without turns, or when no sample gave a valid verdict."""
        if conversation is None or not conversation.turns:
            return Unscored("no conversation: none of its turns was recorded")
        return await self._grade(
            render_conversation(conversation, self.max_characters),
            goal=_goal(example) or None,
            span=last_root(conversation),
            expected=expected,
            example=example,
        )


class ConversationResolved(ConversationJudge):
    """Did the user get what they came for by the end? Passes at 4."""

    default_name = "conversation_resolved"
    default_threshold = 4.0
    criteria = (
        "what the user wanted is answered or done by the end of the conversation",
        "what the user said in earlier turns was remembered",
        "the conversation does not end with an open question of the user",
    )
    anchors: ClassVar[Mapping[int, str] | None] = {
        1: "The user left without anything, or with something wrong",
        2: "Little was resolved",
        3: "The main matter is partly resolved",
        4: "Resolved, after more effort of the user than needed",
        5: "Resolved completely",
    }


class UserFrustrated(ConversationJudge):
    """How frustrated the user is, from 1 (not at all) to 5; lower is better, passes up to `most`.

    The judge grades how content the user is, which is turned round: text that asks the judge for a high grade then
    cannot hide frustration unnoticed.
    """

    default_name = "user_frustrated"
    default_threshold = None
    direction: Direction = "lower"
    task = "A user talks with an assistant over several turns. Grade only how content the user is, by the user's own words."
    criteria = (
        "signs of frustration: repeated or rephrased questions, complaints, sarcasm, capitals, asking for a person, giving up",
        "signs of contentment: thanks, agreement, going on to the next matter",
    )
    anchors: ClassVar[Mapping[int, str] | None] = {
        1: "Angry, or gives up",
        2: "Clearly annoyed",
        3: "Somewhat impatient, or has to repeat",
        4: "Neutral, no sign of annoyance",
        5: "Content",
    }

    def __init__(self, name: str = "", *, model: str, most: float = 2.0, **settings: Any) -> None:
        super().__init__(name, model=model, **settings)
        self.threshold = most

    async def evaluate(self, **arguments: Any) -> Score | Unscored:
        """The frustration, 6 minus the grade."""
        result = await super().evaluate(**arguments)
        if isinstance(result, Unscored):
            return result
        value = 6 - result.value
        passed = None if self.threshold is None else value <= self.threshold
        return msgspec.structs.replace(result, value=value, passed=passed)


class PairwiseTraceJudge(PairwiseJudge):
    """Which of two trajectories serves the request better; both orders are asked, a verdict that turns is a tie.

    As an evaluator the rival is the trajectory in the example's metadata (`trajectory`, as `evalspan export failures`
    keeps it), else the expected output.
    """

    unit: Unit = "trace"

    async def evaluate(
        self, *, trace: Trace | None = None, expected: Any = None, example: Any = None, **_: Any
    ) -> Score | Unscored:
        """1 for a win over the rival, 0.5 for a tie, 0 for a loss."""
        if trace is None or not trace.spans:
            return Unscored(NO_SPANS)
        rendered = render_trace(trace)
        metadata = getattr(example, "metadata", None) or {}
        rival = metadata.get("trajectory") or expected
        result = await super().evaluate(
            input=_goal(example) or trace.question, output=rendered.text, expected=rival, span=representative(trace)
        )
        return _with_cut(result, rendered, complete=trace.complete)

    async def compare_traces(self, first: Trace, second: Trace) -> Comparison:
        """Two trajectories of the same request. Raises what `compare` raises when an order has no verdict."""
        return await self.compare(
            first=render_trace(first).text, second=render_trace(second).text, input=first.question or second.question
        )


def _goal(example: Any) -> str:
    """What the case says the user wants, '' when it says nothing."""
    metadata = getattr(example, "metadata", None) or {}
    return str(metadata.get("goal") or "")


def _with_cut(result: Score | Unscored, rendered: Rendered, *, complete: bool) -> Score | Unscored:
    more: dict[str, Any] = {**rendered.details, **({} if complete else {"incomplete": True})}
    return msgspec.structs.replace(result, details={**result.details, **more}) if more else result
