"""A shop whose persona breaks: its calls as OTLP, what happens to it, and what the service says about it afterwards."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta

import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evalspan.collector.log import framing
from evalspan.evaluators import Score, evaluator
from evalspan.evaluators.drift.finding import Finding
from evalspan.evaluators.drift.why import explain_shift
from evalspan.evaluators.online import Follower, read_rules
from evalspan.queries.store.client import Store

UNTIL = datetime(2026, 6, 15, tzinfo=UTC)
BEFORE, AFTER = 30, 5
"""Days before the change and since."""
A_DAY = 36
CATALOGUE, GROWN_BY, RETRIEVED = 600, 400, 3
PROMPT = "You answer for the shop.\nSay what you know and no more.\nBe brief."
GREETING = "\nWish everybody happy holidays, with ho ho ho!"
SEGMENTS = ("private", "business", "reseller")
CAUSES: dict[str, set[str]] = {
    "prompt mix documents": {"prompt", "segment", "documents"},
    "nothing": set(),
    "prompt": {"prompt"},
    "mix": {"segment"},
    "documents": {"documents"},
}
"""What happens in a story, and the kinds of candidates that it should name."""


@evaluator(name="persona", version="1", threshold=3, inline=True)
def persona(output: str) -> Score:
    """How far the answer keeps to the persona: the stars that it ends with."""
    return Score(float(output.count("*")))


def tell(store: Store, project: str, story: str, seed: int) -> None:
    """Sends five weeks of the shop's calls through the store's OTLP input and has the online engine score them."""
    body = export(story, seed, UNTIL).SerializeToString()
    store.insert_otlp(b"".join(framing.frame(body, project, int(UNTIL.timestamp() * 1000))), token=uuid.uuid4().hex)
    rule = {
        "name": project,
        "project": project,
        "evaluators": [f"{__name__}:persona"],
        "segment": "evalspan.tag.segment",
    }
    rules, problems = read_rules([{**rule, "quiet_s": 0, "backfill_from": "2020-01-01"}])
    if problems:
        raise ValueError(str(problems[0]))
    asyncio.run(Follower(store, rules).catch_up())


def ask(store: Store, project: str) -> Finding:
    """What `evalspan why persona` says at the end, of a week in whose third day it happened."""
    return explain_shift(store, "persona", project=project, since=timedelta(days=7), until=UNTIL)


def right(story: str, found: Finding) -> bool:
    """Whether the true causes are ranked first, or nothing is named where nothing happened."""
    wanted = CAUSES[story]
    named = [one.kind for one in found.candidates]
    return set(named[: len(wanted)]) == wanted if wanted else not named


def export(story: str, seed: int, until: datetime) -> ExportTraceServiceRequest:
    """The calls of a story, which ends at `until`, as a client sends them."""
    told, rng = story.split(), np.random.default_rng([seed, *story.encode()])
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "shop"
    spans = group.scope_spans.add().spans
    for number in range(A_DAY * (BEFORE + AFTER)):
        days = (number + 0.5) / A_DAY
        late = days >= BEFORE
        start = int((until - timedelta(days=BEFORE + AFTER - days)).timestamp() * 1e9)
        segment = int(rng.choice(3, p=(0.35, 0.25, 0.4) if late and "mix" in told else (0.6, 0.3, 0.1)))
        festive = late and "prompt" in told
        items = rng.integers(0, CATALOGUE, RETRIEVED)
        grown = late and "documents" in told and rng.random() < 0.3
        if grown:
            items[0] = CATALOGUE + rng.integers(0, GROWN_BY)
        level = (4.2, 4.0, 3.0)[segment] - 0.5 * festive - 0.9 * grown + rng.normal(0, 0.8)
        stars = int(np.clip(np.round(level), 1, 5))
        trace = rng.bytes(16)
        documents = [{"id": f"item-{item}", "content": "-"} for item in items.tolist()]
        found = {"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.documents": json.dumps(documents)}
        _span(spans, trace, rng.bytes(8), start, found)
        _span(spans, trace, rng.bytes(8), start + 10**8, _call(festive, SEGMENTS[segment], stars))
    return request


def _call(festive: bool, segment: str, stars: int) -> dict[str, str]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "answer-model",
        "gen_ai.system_instructions": json.dumps([{"type": "text", "content": PROMPT + GREETING * festive}]),
        "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Which tent?"}]}]),
        "gen_ai.output.messages": json.dumps(
            [{"role": "assistant", "parts": [{"type": "text", "content": "The small one " + "*" * stars}]}]
        ),
        "evalspan.tag.segment": segment,
    }


def _span(spans: object, trace: bytes, span: bytes, start: int, attributes: dict[str, str]) -> None:
    added = spans.add(  # type: ignore[attr-defined]
        trace_id=trace, span_id=span, name=attributes["gen_ai.operation.name"], start_time_unix_nano=start,
        end_time_unix_nano=start + 10**8,
    )  # fmt: skip
    for key, value in attributes.items():
        added.attributes.add(key=key).value.string_value = value
