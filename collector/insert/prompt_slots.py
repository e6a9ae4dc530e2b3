"""Learns where a service fills text into its system prompt, so that passages, names and dates make no new fingerprint.

The pieces that all of the newest prompts share are fixed; between two of them stands what is filled in when it is
different in nearly every prompt. An edit of fixed text changes one piece for all calls from then on, so it is no slot.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

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
MIN_PROMPTS, MAX_PROMPTS = 4, 16

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
        prompts = prompt_slots.newest_prompts(store, project, service, window_s, MAX_PROMPTS)
        found = slots_of(prompts)
        if not found:
            continue
        ends = sorted({piece for slot in found for piece in slot if piece})
        hashes = {**prompt_slots.piece_hashes(store, ends), "": 0}
        slots = [(hashes[before], hashes[after]) for before, after in found]
        if set(slots) <= prompt_slots.known_slots(store, project, service):
            continue
        prompt_slots.save_slots(store, project, service, slots, "".join(without_slots(pieces_of(prompts[0]), found)))
        learned += 1
        _log.info("the system prompt of %s has %d places that are filled in", service or "(no service)", len(slots))
    return learned


def slots_of(prompts: Sequence[str]) -> list[Slot]:
    """Where text is filled into these prompts; empty when they are too few, or different prompts rather than one template."""
    texts = [pieces_of(prompt) for prompt in dict.fromkeys(prompts)]
    if len(texts) < MIN_PROMPTS:
        return []
    shared = set(texts[0]).intersection(*map(set, texts[1:]))
    # A piece that stands twice in a prompt, or is only space, marks no place.
    fixed = [
        piece
        for piece in texts[0]
        if piece in shared and piece.strip() and all(text.count(piece) == 1 for text in texts)
    ]
    if not fixed or any([piece for piece in text if piece in set(fixed)] != fixed for text in texts):
        return []
    slots = []
    for before, after in zip(["", *fixed], [*fixed, ""], strict=True):
        gaps = [_between(text, before, after) for text in texts]
        if _filled_in(gaps):
            slots.append((before, after))
    return slots


def without_slots(pieces: list[str], slots: Sequence[Slot]) -> list[str]:
    """The pieces with a mark in the place of what is filled in, as the store makes them before it hashes the text."""
    kept = list(pieces)
    for before, after in slots:
        start = kept.index(before) + 1 if before in kept else 0 if not before else -1
        rest = kept[start:] if start >= 0 else []
        if start < 0 or (after and after not in rest):
            continue
        kept = [*kept[:start], "\0", *(kept[start + rest.index(after) :] if after else [])]
    return kept


def _between(text: list[str], before: str, after: str) -> tuple[str, ...]:
    start = text.index(before) + 1 if before else 0
    return tuple(text[start : text.index(after) if after else len(text)])


def _filled_in(gaps: Sequence[tuple[str, ...]]) -> bool:
    """Whether what stands there differs in nearly every prompt; one piece that half of them share may be an edit."""
    if len(set(gaps)) < max(MIN_PROMPTS, 0.6 * len(gaps)):
        return False
    counts = Counter(piece for gap in gaps for piece in set(gap) if piece.strip())
    return all(count <= len(gaps) / 2 for count in counts.values())
