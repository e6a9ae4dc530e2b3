"""Learns where a service fills text into its system prompt, so that passages, names and dates make no new fingerprint.

A service's newest prompts are parted into templates: those that the application names, and prompts that share most of their
pieces. The pieces that all prompts of a template share, in one order, are fixed; between two of them stands what is filled in
when it is different in nearly every prompt. An edit of fixed text changes one piece for all calls from then on, so it is no slot.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ...errors import EvalspanError
from ...queries import prompt_slots
from ...queries.prompt_slots import pieces_of

if TYPE_CHECKING:
    from ...queries.host import Host
    from ...queries.store.protocol import StoreClient

_log = logging.getLogger(__name__)
EVERY_S = 2.0
WINDOW_S, LONG_WINDOW_S, LONG_EVERY = 60, 3600, 30
MIN_PROMPTS, MAX_PROMPTS, MAX_READ = 4, 16, 48
# Pieces that are in three prompts tell which are of one template: those share more than half of them, of the shorter one.
SEVERAL, ALIKE = 3, 0.5

Slot = tuple[str, str]
"""The fixed pieces before and after what is filled in; "" for the begin and the end of the text."""


def attach(app: web.Application, host: Host) -> None:
    """Learns while the service runs."""

    async def run(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(host.supervisor.keep_running("prompts", partial(_follow, host)))
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    app.cleanup_ctx.append(run)


async def _follow(host: Host) -> None:
    tick = 0
    while True:
        await asyncio.sleep(EVERY_S)
        tick += 1
        # The last minute shows the prompts of busy services, the last hour, looked at less often, those of others.
        window_s = LONG_WINDOW_S if tick % LONG_EVERY == 0 else WINDOW_S
        try:
            await asyncio.to_thread(learn, host.store, window_s)
        except EvalspanError as error:
            _log.warning("prompts are not learned for now: %s", error)


def learn(store: StoreClient, window_s: int) -> int:
    """Learns the slots of all services whose newest prompts differ; how many services had new ones. Raises StoreError."""
    learned = 0
    for row in prompt_slots.unstable_services(store, window_s, MIN_PROMPTS):
        project, service = row["project"], row["service"]
        templates = templates_of(prompt_slots.newest_prompts(store, project, service, window_s, MAX_READ))
        found = slots_of_all(templates)
        if not found:
            continue
        firsts = [pieces_of(template[0]) for template in templates if slots_of(template)]
        wanted = {piece for slot in found for piece in slot if piece}.union(*firsts)
        hashes = {**prompt_slots.piece_hashes(store, sorted(wanted)), "": 0}
        slots = [(hashes[before], hashes[after]) for before, after in found]
        known = prompt_slots.known_slots(store, project, service)
        if set(slots) <= known:
            continue
        # As the store will make them from now on, with the slots that were known before.
        every = sorted(known.union(slots))
        texts = {"".join(without_slots(pieces, every, hashes)) for pieces in firsts}
        prompt_slots.save_slots(store, project, service, slots, sorted(texts))
        learned += 1
        _log.info("the system prompt of %s has %d places that are filled in", service or "(no service)", len(slots))
    return learned


def templates_of(prompts: Sequence[tuple[str, str]]) -> list[list[str]]:
    """The prompts (name that the application gave, text) of each template, those of the newest first.

    Prompts without a name are alike when they share most of the pieces that are in several prompts: passages are in one.
    """
    pieces = {text: {piece for piece in pieces_of(text) if piece.strip()} for _, text in prompts}
    counts = Counter(piece for found in pieces.values() for piece in found)
    templates: list[tuple[str, set[str], list[str]]] = []
    for name, text in dict.fromkeys(prompts):
        shared = {piece for piece in pieces[text] if counts[piece] >= SEVERAL}
        for of, first, texts in templates:
            alike = len(shared & first) > ALIKE * min(len(shared), len(first))
            if of == name and (name or alike):
                texts.append(text)
                break
        else:
            templates.append((name, shared, [text]))
    return [texts[:MAX_PROMPTS] for _, _, texts in templates]


def slots_of_all(templates: Sequence[Sequence[str]]) -> list[Slot]:
    """The slots of all templates of a service, without those that would leave fixed text of another template out."""
    found = list(dict.fromkeys(slot for template in templates for slot in slots_of(template)))
    return [slot for slot in found if not any(_hides_fixed_text(slot, template) for template in templates)]


def _hides_fixed_text(slot: Slot, template: Sequence[str]) -> bool:
    """Whether a slot of another template stands in this one, too, around text that is the same in its prompts."""
    texts = [pieces_of(text) for text in template]
    gaps = [_between(text, *slot) for text in texts if all(not end or end in text for end in slot)]
    return bool(gaps) and any(gaps) and not _filled_in(gaps) and slot not in slots_of(template)


def slots_of(prompts: Sequence[str]) -> list[Slot]:
    """Where text is filled into these prompts; empty when they are too few, or different prompts rather than one template."""
    unlike = list(dict.fromkeys(prompts))
    texts = [pieces_of(prompt) for prompt in unlike]
    if len(texts) < MIN_PROMPTS:
        return []
    # A piece that stands twice in a prompt, or is only space, marks no place.
    counts = [Counter(text) for text in texts]
    fixed = [piece for piece in texts[0] if piece.strip() and all(count[piece] == 1 for count in counts)]
    for text in texts[1:]:
        fixed = _in_order(fixed, text)
    slots = []
    for before, after in zip(["", *fixed], [*fixed, ""], strict=True) if fixed else ():
        gaps = [_between(text, before, after) for text in texts]
        ways = _variants(gaps)
        if len(set(ways)) > 1:
            # Variants of fixed text beside what is filled in: each is a template of its own.
            parts = [
                [prompt for prompt, one in zip(unlike, ways, strict=True) if one == way] for way in dict.fromkeys(ways)
            ]
            return list(dict.fromkeys(slot for part in parts for slot in slots_of(part)))
        if _filled_in(gaps):
            slots.append((before, after))
    return slots


def _in_order(fixed: list[str], text: list[str]) -> list[str]:
    """The most of the fixed pieces that stand in this prompt in the same order: a longest increasing subsequence."""
    place = {piece: at for at, piece in enumerate(text)}
    ends: list[int] = []
    chains: list[list[str]] = []
    for piece in fixed:
        at = bisect_left(ends, place[piece])
        chain = [*(chains[at - 1] if at else []), piece]
        ends[at:], chains[at:] = [place[piece], *ends[at + 1 :]], [chain, *chains[at + 1 :]]
    return chains[-1] if chains else []


def without_slots(
    pieces: list[str], slots: Sequence[tuple[Any, Any]], hashes: Mapping[str, int] | None = None
) -> list[str]:
    """The pieces with a mark in the place of what is filled in, as the store makes them before it hashes the text.

    `slots` are pieces, or hashes where `hashes` says those of the pieces.
    """
    kept = list(pieces)
    for before, after in slots:
        keys = [hashes.get(piece) for piece in kept] if hashes else kept
        start = keys.index(before) + 1 if before in keys else 0 if not before else -1
        rest = keys[start:] if start >= 0 else []
        if start < 0 or (after and after not in rest):
            continue
        kept = [*kept[:start], "\0", *(kept[start + rest.index(after) :] if after else [])]
    return kept


def _between(text: list[str], before: str, after: str) -> tuple[str, ...]:
    start = text.index(before) + 1 if before else 0
    return tuple(text[start : text.index(after, start) if after in text[start:] else len(text)])


def _filled_in(gaps: Sequence[tuple[str, ...]]) -> bool:
    """Whether what stands there differs in nearly every prompt."""
    return len(set(gaps)) >= max(MIN_PROMPTS, 0.6 * len(gaps))


def _variants(gaps: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Of each prompt the pieces there that a quarter of the prompts share, where there are few ways to combine them.

    Such a piece may be an edit, or one of a few variants, beside something filled in. Items of a list, which stand together
    in many ways, are filled in themselves, and fixed text does not stand twice in one place: a tag around each document does.
    """
    repeated = {piece for gap in gaps for piece, count in Counter(gap).items() if count > 1}
    counts = Counter(piece for gap in gaps for piece in set(gap) - repeated if piece.strip())
    common = {piece for piece, count in counts.items() if len(gaps) / 4 <= count < len(gaps)}
    ways = [tuple(piece for piece in gap if piece in common) for gap in gaps]
    return ways if len(set(ways)) <= max(MIN_PROMPTS, 0.5 * len(gaps)) else [()] * len(gaps)
