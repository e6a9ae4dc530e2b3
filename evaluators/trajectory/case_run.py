"""Asks a target one case and keeps what it did: its spans, captured in process; one turn, several, or a simulated user.

Of several turns the target is called once for each, with `question` (what the user says now), `messages` (all that was
said, this included), `conversation_id` and `turn`; beside these the input's other fields are the same each time.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import EvalspanError, UsageError
from ...instrument.tool_replay import replaying_tools
from ..contract import Unit, reason_of
from .capture import CapturedSpans, capturing
from .conversation import Conversation
from .own_steps import trace_from_answer
from .replay import Missing, ToolRecording, lookup_of, recording_of
from .simulated_user import Persona, SimulatedUser, persona_of
from .trace import Trace, trace_of

if TYPE_CHECKING:
    from ..datasets import Example
    from ..experiments.target import Answer, Target

TURNS, USER = "turns", "user"
MAX_TURNS = 300


class CaseRun(msgspec.Struct, frozen=True):
    """The answer to a case (of several turns the last one), with what the target did."""

    answer: Answer
    trace: Trace | None = None
    """All its spans as one trace; None when nothing was captured and the target returned no steps of its own."""
    conversation: Conversation | None = None
    """Its turns; of a case with one question, one turn."""


class CaseSettings(msgspec.Struct, frozen=True):
    """How cases of agents are run."""

    user: SimulatedUser | None = None
    """Plays the users of the examples that have one."""
    replay_tools: Missing | None = None
    """None runs all tools; else recorded results stand in for them, see `ToolRecording`."""


async def run_case(
    target: Target, example: Example, timeout_s: float, settings: CaseSettings | None = None, *, repeat: int = 0
) -> CaseRun:
    """The case, asked once; never raises, except when this task itself is cancelled. `timeout_s` is for each answer."""
    settings = settings or CaseSettings()
    try:
        turns = _Turns(example, settings, repeat)
    except UsageError as error:
        return CaseRun(_failed(f"The case cannot be run: {error}"))
    recording = recording_of(example.metadata, missing=settings.replay_tools) if settings.replay_tools else None
    with capturing() as all_spans, replaying_tools(lookup_of(recording)):
        run = await _all_turns(target, example, timeout_s, turns, all_spans)
    return run if recording is None else _with_replay(run, recording)


def unit_arguments(unit: Unit, run: CaseRun, example: Example) -> dict[str, Any]:
    """`input`, `output`, `context`, and the trace or conversation, as an evaluator of this unit gets them."""
    answer = run.answer
    context = answer.context if answer.context is not None else example.metadata.get("context")
    if unit == "trace":
        trace = run.trace
        question = trace.question if trace else ""
        evidence = context if context is not None else trace.context if trace else None
        return {
            "input": question or example.input,
            "output": answer.output,
            "context": evidence or None,
            "trace": trace,
        }
    if unit == "conversation":
        conversation = run.conversation
        evidence = context if context is not None else conversation.context if conversation else None
        first = conversation.question if conversation else ""
        return {
            "input": first or example.input,
            "output": answer.output,
            "context": evidence or None,
            "conversation": conversation,
        }
    return {"input": example.input, "output": answer.output, "context": context}


async def _all_turns(
    target: Target, example: Example, timeout_s: float, turns: _Turns, all_spans: CapturedSpans
) -> CaseRun:
    if not turns.several:
        answer = await target.answer(example.input, timeout_s)
        trace = await _trace_of(all_spans, answer, _question(example.input))
        return CaseRun(answer, trace, None if trace is None else Conversation("", [trace]))
    conversation_id, traces, answers = f"case-{uuid.uuid4().hex[:16]}", list[Trace](), list[Any]()
    rest = {key: value for key, value in example.input.items() if key not in (TURNS, USER)}
    while True:
        try:
            question = await turns.next()
        except Exception as error:  # noqa: BLE001 - the model that plays the user is away: the case has no result
            return CaseRun(_failed(f"The simulated user failed: {reason_of(error)}", answers))
        if question is None:
            break
        given = {
            **rest,
            "question": question,
            "messages": turns.messages(question),
            "conversation_id": conversation_id,
            "turn": len(answers) + 1,
        }
        with capturing() as spans:
            answer = await target.answer(given, timeout_s)
        answers.append(answer)
        trace = await _trace_of(spans, answer, question)
        traces += [trace] if trace is not None else []
        if answer.error is not None:
            break
        turns.answered(question, str(answer.output))
    return _joined(conversation_id, answers, traces, turns)


def _joined(conversation_id: str, answers: list[Any], traces: list[Trace], turns: _Turns) -> CaseRun:
    if not answers:
        return CaseRun(_failed("The user said nothing: the case has no turn"))
    last: Answer = answers[-1]
    details = {**last.details, "conversation": turns.told(), "turns": len(answers), "user_ended": turns.ended}
    joined = msgspec.structs.replace(last, details=details, latency_s=sum(one.latency_s for one in answers))
    spans = [span for trace in traces for span in trace.spans]
    return CaseRun(
        joined,
        trace_of(spans) if spans else None,
        Conversation(conversation_id, traces) if traces else None,
    )


class _Turns:
    """What the user says, turn by turn: from a list, or played by a model."""

    def __init__(self, example: Example, settings: CaseSettings, repeat: int) -> None:
        given: Mapping[str, Any] = example.input
        self.several = TURNS in given or USER in given
        self.ended = ""
        self._exchanges: list[tuple[str, str]] = []
        self._repeat, self._user = repeat, settings.user
        self._persona: Persona | None = None
        self._listed: list[str] = []
        if USER in given:
            self._persona = persona_of(given[USER], f"example {example.id!r}")
            if settings.user is None:
                raise UsageError("it has a simulated user, and no model plays it", hint="--user-model MODEL")
        elif self.several:
            self._listed = _listed(given[TURNS], example.id)

    async def next(self) -> str | None:
        """What the user says now; None at the end."""
        if self._persona is None:
            place = len(self._exchanges)
            self.ended = "turns used up" if place >= len(self._listed) else ""
            return self._listed[place] if place < len(self._listed) else None
        assert self._user is not None
        said = await self._user.say(self._persona, self._exchanges, repeat=self._repeat)
        self.ended = said.ended
        return said.text or None

    def answered(self, question: str, answer: str) -> None:
        """Keeps an exchange."""
        self._exchanges.append((question, answer))

    def messages(self, question: str) -> list[dict[str, str]]:
        """All that was said, with this question at its end."""
        found = []
        for asked, said in self._exchanges:
            found += [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
        return [*found, {"role": "user", "content": question}]

    def told(self) -> list[dict[str, str]]:
        """The conversation so far, for the record."""
        return self.messages("")[:-1]


def _listed(raw: Any, name: str) -> list[str]:
    good = isinstance(raw, list) and raw and all(isinstance(one, str) and one.strip() for one in raw)
    if not good or len(raw) > MAX_TURNS:
        raise UsageError(
            f"example {name!r}: turns must be 1 to {MAX_TURNS} texts", hint='"turns": ["Hello", "And mine?"]'
        )
    return list(raw)


async def _trace_of(spans: CapturedSpans, answer: Answer, question: str) -> Trace | None:
    """What was captured; where nothing was, what the target says of itself."""
    if spans.still_open:
        await asyncio.to_thread(spans.wait)
    captured = spans.trace()
    if captured is not None and (captured.model_calls or captured.tool_calls):
        return captured
    try:
        own = trace_from_answer(answer.details, question=question, answer=answer.output or "")
    except (EvalspanError, ValueError, TypeError, KeyError):
        own = None  # what it calls its steps is none
    return own or captured


def _question(given: Mapping[str, Any]) -> str:
    question = given.get("question")
    return question if isinstance(question, str) else msgspec.json.encode(given, enc_hook=str).decode()


def _with_replay(run: CaseRun, recording: ToolRecording) -> CaseRun:
    replay = {"replayed": recording.replayed, "not_recorded": recording.not_recorded[:20]}
    details = {**run.answer.details, "tool_replay": replay}
    return msgspec.structs.replace(run, answer=msgspec.structs.replace(run.answer, details=details))


def _failed(reason: str, answers: list[Any] | None = None) -> Answer:
    from ..experiments.target import Answer

    spent = sum(one.latency_s for one in answers or ())
    return Answer(
        None, error=reason, latency_s=spent, timestamp=time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    )
