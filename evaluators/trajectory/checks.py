"""Rules over a whole trace: loops, errors papered over, budgets of steps and dollars, hand-offs, evidence."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ...errors import UsageError
from ..builtin.grounding import Grounding
from ..contract import Direction, Score, Unit, Unscored, fingerprint, source_of
from .expected_calls import NO_SPANS
from .steps import StepKind
from .tool_calls import ToolCall, failure_of
from .trace import Trace

COUNTED: tuple[StepKind, ...] = ("call", "tool", "retrieval", "handoff")
_ADMISSION = re.compile(
    r"\b(?:could ?n[o']t|couldn’t|can ?n[o']t|can’t|unable|fail(?:ed|s|ure)?|errors?|unavailable|not (?:available|possible|able|found|"
    r"work(?:ing)?)|no (?:result|record|data|information)s?|problem|trouble|issue|went wrong|timed? ?out|try again|sorry|"
    r"apologi[sz]e|unfortunately|temporarily|did(?: not|n[o']t) (?:work|succeed|respond))\b"
    r"|\b(?:leider|konnte nicht|fehler|nicht möglich|nicht verfügbar|désolé|impossible|erreur|échoué|lo siento|"
    r"no pude|no se pudo|no está disponible|purtroppo|errore|helaas|niet gelukt)\b"
    r"|(?:抱歉|无法|失败|错误|申し訳|できません|エラー|죄송|실패)",
    re.IGNORECASE,
)


class TraceCheck(ABC):
    """What the rules over traces share: they judge a trace, inline, without a model."""

    kind = "agent"
    source = "code"
    direction: Direction = "higher"
    threshold: float | None = None
    unit: Unit = "trace"
    inline = True
    name: str
    version: str

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.version}>"

    async def evaluate(self, *, trace: Any = None, **_: Any) -> Score | Unscored:
        """The score of a trace; Unscored without one."""
        return self(trace)

    def __call__(self, trace: Trace | None, **_: Any) -> Score | Unscored:
        """As `evaluate`, without a loop."""
        if trace is None or not trace.spans:
            return Unscored(NO_SPANS)
        return self.check(trace)

    @abstractmethod
    def check(self, trace: Trace) -> Score | Unscored:
        """The score of a trace with spans."""


class NoRepeatedCalls(TraceCheck):
    """No tool is called again with the same arguments: an agent that does goes round in circles.

    `allowed` further calls with the same arguments are fine; a call that failed may be tried again `retries` times.
    `ignore` names tools that are called again on purpose (a status that is polled). The value is the share of the calls
    that are no such repetition.
    """

    def __init__(
        self, *, allowed: int = 0, retries: int = 2, ignore: Sequence[str] = (), name: str = "no_repeated_calls"
    ) -> None:
        if allowed < 0 or retries < 0:
            raise UsageError("NoRepeatedCalls: allowed and retries count calls", hint="0 or more")
        self.name, self.allowed, self.retries = name, allowed, retries
        self.ignore = frozenset([ignore] if isinstance(ignore, str) else ignore)
        self.version = fingerprint("no-repeated-calls-1", str(allowed), str(retries), *sorted(self.ignore))

    def check(self, trace: Trace) -> Score:
        """The share of calls that repeat none."""
        sound: dict[tuple[str, bytes], int] = {}
        failed: dict[tuple[str, bytes], int] = {}
        repeated: list[ToolCall] = []
        calls = [call for call in trace.tool_calls if call.name not in self.ignore]
        for call in calls:
            key = (call.name, msgspec.json.encode(call.arguments, enc_hook=str, order="sorted"))
            if sound.get(key, 0) > self.allowed or failed.get(key, 0) > self.retries:
                repeated.append(call)
            counted = sound if failure_of(call) is None else failed
            counted[key] = counted.get(key, 0) + 1
        return Score(
            1 - len(repeated) / len(calls) if calls else 1.0,
            label="repeated" if repeated else "no repetition",
            passed=not repeated,
            explanation="; ".join(f"{call} was called before" for call in repeated[:5]) or "no call repeats another",
            details={
                "calls": len(calls),
                "repeated": len(repeated),
                "span_ids": [call.span_id for call in repeated[:50]],
            },
        )


class ErrorsHandled(TraceCheck):
    """A failed tool is tried again with success, or the answer admits it; it is not papered over.

    Also handled is a failure that ends the trace with an error: nobody was told otherwise. `admits` says whether an
    answer admits a failure; left out, words such as "unable" or "sorry" do, in nine languages. The value is the share
    of the failures that were handled, 1 when nothing failed (label "nothing failed").
    """

    def __init__(self, *, admits: Callable[[str], bool] | None = None, name: str = "errors_handled") -> None:
        self.name = name
        self._admits = admits
        self.version = fingerprint("errors-handled-1", source_of(admits) if admits else _ADMISSION.pattern)

    def check(self, trace: Trace) -> Score:
        """The share of failures that were retried with success, admitted or passed on."""
        calls = trace.tool_calls
        failed = [(at, call, why) for at, call in enumerate(calls) if (why := failure_of(call)) is not None]
        if not failed:
            return Score(1.0, label="nothing failed", passed=True, explanation="no tool failed", details={"failed": 0})
        last_success = {call.name: at for at, call in enumerate(calls) if failure_of(call) is None}
        admitted = bool(self._admits(trace.answer) if self._admits else _ADMISSION.search(trace.answer))
        passed_on = not trace.answer and str(trace.root.get("status")) == "ERROR"
        papered = [
            (call, why)
            for at, call, why in failed
            if not admitted and not passed_on and last_success.get(call.name, -1) < at
        ]
        said = "; ".join(f"{call.name} failed ({why}), and the answer does not say so" for call, why in papered[:5])
        return Score(
            1 - len(papered) / len(failed),
            label="papered over" if papered else "admitted" if admitted else "passed on" if passed_on else "retried",
            passed=not papered,
            explanation=said or "every failure was retried with success, admitted or passed on",
            details={
                "failed": len(failed),
                "papered_over": len(papered),
                "span_ids": [call.span_id for call, _ in papered[:50]],
            },
        )


class StepBudget(TraceCheck):
    """At most `limit` steps. The value is their number; `kinds` says which count: model calls, tool calls, retrievals
    and hand-offs unless told otherwise.
    """

    direction: Direction = "lower"

    def __init__(self, limit: int, *, kinds: Sequence[StepKind] = COUNTED, name: str = "steps") -> None:
        if limit < 1:
            raise UsageError(f"StepBudget({limit}) allows no step", hint="1 or more")
        self.name, self.limit, self.kinds = name, limit, tuple(kinds)
        self.threshold = float(limit)
        self.version = fingerprint("steps-1", str(limit), *sorted(self.kinds))

    def check(self, trace: Trace) -> Score:
        """The number of steps."""
        steps = [step for step in trace.steps if step.kind in self.kinds]
        count = len(steps) + trace.spans_left_out
        beyond = steps[self.limit : self.limit + 1]
        details = {"steps": count, "span_ids": [step.span_id for step in beyond]}
        return Score(float(count), passed=count <= self.limit, explanation=f"{count} steps", details=details)


class CostBudget(TraceCheck):
    """At most `limit_usd` dollars for all model calls of the trace. The value is their cost.

    Unscored where a call has no price, unless the priced ones alone are above the limit already.
    """

    direction: Direction = "lower"

    def __init__(self, limit_usd: float, *, name: str = "cost_usd") -> None:
        if not limit_usd > 0:
            raise UsageError(f"CostBudget({limit_usd}) allows nothing", hint="dollars above 0")
        self.name, self.limit_usd = name, float(limit_usd)
        self.threshold = self.limit_usd
        self.version = fingerprint("cost-1", repr(self.limit_usd))

    def check(self, trace: Trace) -> Score | Unscored:
        """The cost in dollars."""
        cost, unpriced = trace.cost_usd, trace.unpriced_calls
        if (cost is None or unpriced) and not (cost is not None and cost > self.limit_usd):
            return Unscored(
                f"the cost is unknown: {unpriced} of the trace's model calls have no price", {"known_usd": cost}
            )
        assert cost is not None
        details = {"tokens": trace.tokens, "unpriced_calls": unpriced}
        said = f"${cost:.6g} for {trace.tokens:,} tokens"
        return Score(cost, passed=cost <= self.limit_usd, explanation=said, details=details)


class HandoffsTo(TraceCheck):
    """The work was handed to these agents, in this order; others may come in between.

    With `exactly` no other agent may get it. Names are compared without case, spaces and punctuation: a tool
    `transfer_to_refund_agent` hands over to "Refund Agent". The value is the share of the agents that were reached.
    """

    def __init__(self, *agents: str, exactly: bool = False, name: str = "handoffs") -> None:
        if not agents:
            raise UsageError("HandoffsTo() names no agent", hint='HandoffsTo("refund agent")')
        self.name, self.agents, self.exactly = name, agents, exactly
        self.version = fingerprint("handoffs-1", str(exactly), *agents)

    def check(self, trace: Trace) -> Score:
        """The share of the agents that the work was handed to in order."""
        targets = [one.target for one in trace.handoffs]
        reached = 0
        for target in targets:
            if reached < len(self.agents) and _plain(target) == _plain(self.agents[reached]):
                reached += 1
        others = [target for target in targets if _plain(target) not in {_plain(agent) for agent in self.agents}]
        too_many = self.exactly and len(targets) != len(self.agents)
        value = reached / len(self.agents)
        path = " -> ".join([*trace.agents[:1], *targets]) or "nobody"
        return Score(
            value if not too_many else min(value, reached / len(targets)),
            passed=value == 1 and not too_many,
            explanation=f"the work went to {path}",
            details={
                "handoffs": targets[:50],
                "others": others[:50],
                "span_ids": [one.span_id for one in trace.handoffs[:50]],
            },
        )


class Grounded(TraceCheck):
    """The final answer stands in the trace's evidence: what was retrieved and what tools returned, all of it.

    The check is that of `Grounding`; without evidence the trace is Unscored.
    """

    kind = "hallucination"

    def __init__(self, *, coverage: float = 0.4, name: str = "grounded") -> None:
        self.name = name
        self._grounding = Grounding(coverage=coverage)
        self.version = fingerprint("grounded-1", self._grounding.version)

    def check(self, trace: Trace) -> Score | Unscored:
        """The grounding of the answer in the trace's context."""
        if not trace.answer:
            return Unscored("the trace has no answer")
        return self._grounding(trace.answer, trace.context, input=trace.question)


def _plain(name: str) -> str:
    return "".join(sign for sign in name.lower() if sign.isalnum())
