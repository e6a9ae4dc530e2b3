"""The sampler between the log and the insert: one request in head mode; whole traces are in tail.py."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from .config import SamplingConfig
from .rewrite import mark
from .rules import Decision, Policy
from .span_view import SpanFacts, scalar

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource


class Sampled(NamedTuple):
    """What is left of a request: None when nothing is; counts of spans by rule."""

    request: ExportTraceServiceRequest | None
    kept: Counter[str]
    dropped: Counter[str]


class Sampler:
    """Decides requests under one `[sampling]` configuration; one thread at a time."""

    def __init__(self, config: SamplingConfig, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.config = config
        self.keeps_everything = not config.enabled
        self.policy = Policy(config, clock=clock)

    def head(self, request: ExportTraceServiceRequest) -> Sampled:
        """Sample one request in place: the spans of a trace in it share a decision made from what the request shows.

        The request is changed: dropped spans are gone, kept ones carry their weight and rule.
        """
        if self.keeps_everything:
            total = sum(len(scope.spans) for group in request.resource_spans for scope in group.scope_spans)
            return Sampled(request, Counter({"everything": total}), Counter())
        traces: dict[bytes, list[SpanFacts]] = {}
        scopes: list[tuple[Any, list[SpanFacts]]] = []
        for group in request.resource_spans:
            resource = resource_attributes(group.resource)
            for scope in group.scope_spans:
                scopes.append((scope, [SpanFacts(span, resource) for span in scope.spans]))
                for facts in scopes[-1][1]:
                    traces.setdefault(facts.span.trace_id, []).append(facts)
        decisions = {trace_id: self.policy.decide(spans) for trace_id, spans in traces.items()}
        sampled = Sampled(request, Counter(), Counter())
        for scope, found in scopes:
            self._apply(scope.spans, found, decisions, sampled)
        for group in request.resource_spans:
            _remove_empty(group.scope_spans, "spans")
        _remove_empty(request.resource_spans, "scope_spans")
        return sampled if request.resource_spans else sampled._replace(request=None)

    def _apply(self, spans: Any, found: list[SpanFacts], decisions: dict[bytes, Decision], sampled: Sampled) -> None:
        """Marks or removes the spans of one scope, and counts them."""
        for index in range(len(found) - 1, -1, -1):
            decision = decisions[found[index].span.trace_id]
            if decision.keep:
                mark(found[index], decision)
                sampled.kept[decision.rule] += 1
            else:
                del spans[index]
                sampled.dropped[decision.rule] += 1


def resource_attributes(resource: Resource) -> dict[str, Any]:
    """Scalar attributes of a resource by key."""
    return {pair.key: scalar(pair.value) for pair in resource.attributes}


def _remove_empty(items: Any, field: str) -> None:
    for index in range(len(items) - 1, -1, -1):
        if not getattr(items[index], field):
            del items[index]
