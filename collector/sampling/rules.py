"""From the spans of a trace to a decision: which rule speaks, with what probability, and is the trace kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ...instrument import semconv
from .adaptive_rate import Allowance
from .config import SamplingConfig, SamplingRule
from .latency import RunningQuantile
from .probability import (
    incoming_threshold,
    probability_of,
    randomness_of,
    randomness_of_conversation,
    threshold_of,
    weight_of,
)
from .span_view import SpanFacts

KEEP_RULE = "keep"
BASE_RULE = "base"


class Decision(NamedTuple):
    """What happens to a trace. `probability` is known before the trace's random bits are looked at; `reason` says why."""

    keep: bool
    probability: float
    weight: float
    rule: str
    reason: str
    threshold: int
    content: bool
    conversation: str = ""
    """The conversation that it was decided by; '' for the trace itself."""
    conversation_weight: float | None = None
    """How many conversations this one stands for; None unless it is known to be kept as a whole."""


class _Rule:
    """A configured rule with its running state."""

    def __init__(self, rule: SamplingRule, base_rate: float, clock: Callable[[], float]) -> None:
        self.config = rule
        self.rate = rule.rate if rule.rate is not None else (base_rate if rule.segment else 1.0)
        self._patterns = tuple(pattern.casefold() for pattern in rule.patterns)
        quantile = rule.slower_than_quantile
        self._slow = None if quantile is None else RunningQuantile(quantile, clock)
        self._floor = Allowance(rule.floor, rule.window_s, clock) if rule.segment else None
        budget = rule.budget_per_s
        self._budget = None if budget is None else Allowance(budget * 10, 10.0, clock)

    def matches(self, spans: Sequence[SpanFacts]) -> bool:
        """Whether every condition of the rule holds for some span of the trace."""
        rule = self.config
        # Each span is asked before it is counted: its own duration must not move the limit that judges it.
        slow = self._slow is None or self._observe(self._slow, spans)
        return (
            slow
            and (not rule.errors or any(span.is_error for span in spans))
            and (not self._patterns or any(self._says(span) for span in spans))
            and (not rule.attributes or any(self._has(span) for span in spans))
            and (not rule.segment or self.segment_of(spans) is not None)
        )

    def probability(self, spans: Sequence[SpanFacts]) -> float:
        """The keep probability of a trace that matches; counts it against the floor and the budget."""
        probability = self.rate
        if self._floor is not None:
            probability = max(probability, self._floor.probability(self.segment_of(spans)))
        if self._budget is not None:
            probability = min(probability, self._budget.probability())
        return probability

    def segment_of(self, spans: Sequence[SpanFacts]) -> tuple[str, ...] | None:
        """The trace's segment, each value from the first span that has it; None when one is missing."""
        values = []
        for name in self.config.segment:
            found = next((value for span in spans if (value := span.value(name)) not in (None, "")), None)
            if found is None:
                return None
            values.append(str(found))
        return tuple(values)

    def _observe(self, slow: RunningQuantile, spans: Sequence[SpanFacts]) -> bool:
        answers = [slow.is_slow(span.kind, span.seconds) for span in spans]
        for span in spans:
            state = span.span.trace_state
            came_with = incoming_threshold(state, randomness_of(span.span.trace_id, state))
            slow.observe(span.kind, span.seconds, weight_of(came_with))
        return any(answers)

    def _says(self, span: SpanFacts) -> bool:
        text = span.user_text
        return any(pattern in text for pattern in self._patterns)

    def _has(self, span: SpanFacts) -> bool:
        return all(span.value(key) == value for key, value in self.config.attributes.items())


class Policy:
    """All rules in order, then the base rate. Not thread-safe: the sampler that owns it runs in one thread."""

    def __init__(self, config: SamplingConfig, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rules = [_Rule(rule, config.base_rate, clock) for rule in config.effective_rules]
        self._base_rate = config.base_rate
        self._by_conversation = config.key == "conversation"
        self._content_rate = config.content_rate
        budget = config.budget_per_s
        self._base_budget = None if budget is None else Allowance(budget * 10, 10.0, clock)
        self.error_rule = next((rule.name for rule in config.effective_rules if rule.errors), None)

    def decide(self, spans: Sequence[SpanFacts]) -> Decision:
        """Decide the spans of one trace together; never raises, whatever the attributes hold."""
        probability, rule, reason, content = self._choose(spans)
        conversation = self._conversation(spans)
        return self.apply(spans[0], probability, rule, reason, content=content, conversation=conversation)

    def apply(
        self,
        span: SpanFacts,
        probability: float,
        rule: str,
        reason: str,
        *,
        content: bool | None,
        conversation: str = "",
    ) -> Decision:
        """Turn a probability into a decision for the trace of this span.

        A sampler before us kept the trace with its own threshold; the stricter of both is what the trace survived, so
        the weight comes from that one.
        """
        if conversation:
            return self._apply_to_conversation(span, probability, rule, reason, content, conversation)
        trace_state = span.span.trace_state
        randomness = randomness_of(span.span.trace_id, trace_state)
        threshold = max(threshold_of(probability), incoming_threshold(trace_state, randomness))
        keep = randomness >= threshold
        if content is None:
            # The same lot: of the kept traces those with the highest, so content is a sample of what is kept.
            content = randomness >= threshold_of(probability_of(threshold) * self._content_rate)
        weight = weight_of(threshold) if keep else 0.0
        return Decision(keep, probability_of(threshold), weight, rule, reason, threshold, content)

    def _apply_to_conversation(
        self, span: SpanFacts, probability: float, rule: str, reason: str, content: bool | None, conversation: str
    ) -> Decision:
        """The same by the conversation's random bits, with the base rate as the least probability of each of its traces.

        So a conversation whose bits pass the base rate is kept as a whole, whatever rules say of its traces, and stands
        for 1/base rate. What a sampler before us did went by other bits: both probabilities multiply.
        """
        trace_state = span.span.trace_state
        before = incoming_threshold(trace_state, randomness_of(span.span.trace_id, trace_state))
        randomness = randomness_of_conversation(conversation)
        base, threshold = threshold_of(self._base_rate), threshold_of(max(probability, self._base_rate))
        keep = randomness >= threshold
        if content is None:
            content = randomness >= threshold_of(probability_of(threshold) * self._content_rate)
        total = probability_of(threshold) * probability_of(before)
        whole = weight_of(base) if randomness >= base and not before else None
        weight = 1 / total if keep else 0.0
        return Decision(keep, probability_of(threshold), weight, rule, reason, before, content, conversation, whole)

    def _conversation(self, spans: Sequence[SpanFacts]) -> str:
        """The id of the trace's conversation where sampling goes by it, '' otherwise."""
        if not self._by_conversation:
            return ""
        keys = (semconv.CONVERSATION_ID, semconv.SESSION_ID)
        found = (span.attribute(key) for span in spans for key in keys)
        return next((str(value) for value in found if value not in (None, "")), "")

    def _choose(self, spans: Sequence[SpanFacts]) -> tuple[float, str, str, bool | None]:
        if any(span.attribute(semconv.KEEP) is True for span in spans):
            return 1.0, KEEP_RULE, f"{semconv.KEEP} is set", True
        chosen: _Rule | None = None
        for rule in self._rules:
            # Every rule looks at every trace, so that the running latencies know all traffic; the first match decides.
            if rule.matches(spans) and chosen is None:
                chosen = rule
        if chosen is not None:
            probability = chosen.probability(spans)
            reason = "matched" if probability >= chosen.rate else "matched, over its budget"
            return probability, chosen.config.name, reason, None if chosen.config.content else False
        probability = self._base_rate
        if self._base_budget is not None:
            probability = min(probability, self._base_budget.probability())
        return probability, BASE_RULE, "no rule matched", None
