"""A prompt's fingerprint is that of its fixed text: passages make no new prompt, an edit makes exactly one."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evalspan.collector.insert.prompt_slots import slots_of, without_slots
from evalspan.queries.prompt_slots import pieces_of

from .serving import Collector, rows_of, serving, until
from .traffic import add_span

FORMS = ("instructions", "messages")
TEMPLATE = (
    "You answer for the shop. Be {tone}.\nContext:\n{passage}\nToday is {day}.\nNever promise a refund.\n"
    + "Rule. " * 5
)


def prompt(number: int, tone: str = "brief") -> str:
    passage = f"Passage {number}: the price is {number} euro\nand more of {number * 7}."
    return TEMPLATE.format(tone=tone, passage=passage, day=f"2026-06-{number % 28 + 1:02d}")


def test_what_differs_in_nearly_every_prompt_is_filled_in_and_an_edit_is_not() -> None:
    prompts = [prompt(number) for number in range(12)]
    slots = slots_of(prompts)
    assert slots
    kept = {"".join(without_slots(pieces_of(one), slots)) for one in [prompt(number) for number in range(12, 40)]}
    assert len(kept) == 1
    edited = {"".join(without_slots(pieces_of(prompt(number, "polite")), slots)) for number in range(40, 60)}
    assert len(edited) == 1
    assert not kept & edited


@pytest.mark.parametrize(
    "prompts",
    [
        [prompt(1)] * 20,
        [f"You are persona {name}. Speak like {name}." for name in ("ann", "bob")],
        [f"{word} is all that is said here" for word in ("one", "two", "three", "four", "five")],
        [prompt(1, tone) for tone in ("a", "b") for _ in range(8)],
    ],
    ids=["one prompt", "two personas", "nothing shared", "an edit"],
)
def test_what_is_no_template_has_no_slots(prompts: list[str]) -> None:
    assert slots_of(prompts) == []


def test_half_of_the_prompts_after_an_edit_do_not_hide_it() -> None:
    mixed = [prompt(number, "brief" if number % 2 else "polite") for number in range(12)]
    slots = slots_of(mixed)
    ways = {
        "".join(without_slots(pieces_of(prompt(n, tone)), slots)) for n in range(20, 30) for tone in ("brief", "polite")
    }
    assert not slots or len(ways) == 2


def send(collector: Collector, service: str, prompts: list[str], form: str) -> None:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = service
    spans = group.scope_spans.add().spans
    for text in prompts:
        part = [{"type": "text", "content": text}]
        attributes = {
            "gen_ai.input.messages": json.dumps([{"role": "system", "parts": part}, {"role": "user", "parts": part}])
        }
        if form == "instructions":
            attributes = {"gen_ai.system_instructions": json.dumps(part)}
        add_span(spans, start_ns=time.time_ns(), attributes=attributes)
    assert collector.post(request.SerializeToString()).status == 200


@pytest.mark.slow
def test_passages_make_no_new_fingerprint_and_an_edit_makes_one_in_a_running_service(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with serving(path, settings='[receive]\nflush_ms = 50\n[log]\nlevel = "info"\n') as collector:
        for form in FORMS:
            send(collector, form, [prompt(number) for number in range(12)], form)
        until(lambda: all(f"the system prompt of {form} has" in "".join(collector.said) for form in FORMS))
        for form in FORMS:
            send(collector, form, [prompt(number) for number in range(20, 40)], form)
            send(collector, form, [prompt(number, "festive") for number in range(40, 60)], form)
        assert collector.stop() == 0
    found = rows_of(path, "SELECT service, system_hash, count() AS n FROM spans GROUP BY ALL HAVING n > 1 ORDER BY ALL")
    by_service = {service: [n for name, _, n in found if name == service] for service, *_ in found}
    assert by_service == {"instructions": [20, 20], "messages": [20, 20]}
