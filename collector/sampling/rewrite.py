"""Writes a sampling decision onto the spans that are kept: weight, rule, threshold, and content when it is dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ...instrument import semconv
from ...instrument.content import CONTENT_ATTRIBUTES
from .probability import with_threshold

if TYPE_CHECKING:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from .rules import Decision
    from .span_view import SpanFacts

# The system instructions and tools stay: they are the application's text, not its users', and drift needs their fingerprint.
CONTENT = CONTENT_ATTRIBUTES - {semconv.SYSTEM_INSTRUCTIONS, semconv.TOOL_DEFINITIONS}


def mark(facts: SpanFacts, decision: Decision) -> None:
    """Put weight and rule on a kept span, and its threshold into the trace state for whoever samples after us."""
    span = facts.span
    for key in (semconv.SAMPLE_WEIGHT, semconv.SAMPLE_RULE, semconv.CONVERSATION_WEIGHT):
        if facts.has(key):  # the client sent it under our name: only the sampler knows its weight
            _remove(span, key)
    span.attributes.add(key=semconv.SAMPLE_WEIGHT).value.double_value = decision.weight
    span.attributes.add(key=semconv.SAMPLE_RULE).value.string_value = decision.rule
    if decision.conversation_weight is not None:
        span.attributes.add(key=semconv.CONVERSATION_WEIGHT).value.double_value = decision.conversation_weight
    if not decision.conversation:  # else the threshold is of other random bits than the trace's
        span.trace_state = with_threshold(span.trace_state, decision.threshold)
    if not decision.content:
        drop_content(span)


def drop_content(span: Span) -> None:
    """Remove what users and models said, and say so on the span; leading system messages stay for the fingerprint.

    The mark is on every such span: what is said beside it, in log records, comes later and stays out, too.
    """
    kept = []
    for pair in span.attributes:
        if pair.key not in CONTENT:
            kept.append(pair)
            continue
        system = _system_messages(pair.value.string_value) if pair.key == semconv.INPUT_MESSAGES else b""
        if system:
            pair.value.string_value = system.decode()
            kept.append(pair)
    copies = [type(pair).FromString(pair.SerializeToString()) for pair in kept]
    del span.attributes[:]
    span.attributes.extend(copies)
    span.attributes.add(key=semconv.CONTENT_DROPPED).value.bool_value = True


def _system_messages(raw: str) -> bytes:
    try:
        messages = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return b""
    if not isinstance(messages, list):
        return b""
    system = [m for m in messages if isinstance(m, dict) and m.get("role") in ("system", "developer")]
    return msgspec.json.encode(system) if system else b""


def _remove(span: Span, key: str) -> None:
    for index in range(len(span.attributes) - 1, -1, -1):
        if span.attributes[index].key == key:
            del span.attributes[index]
