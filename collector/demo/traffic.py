"""The demo's customers: who asks what and when, two weeks of it, fitted to the time that there is."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta

import msgspec

import evalspan

from .assistant import BAD_PROMPT, GOOD_PROMPT, Assistant
from .clock import SHIFT_TAG
from .knowledge import questions
from .local_model import SLOTS

SERVICE = "lanternboard-support"

DAYS = 7
"""Length of each of the two weeks, in simulated days."""

MIN_QUESTIONS, MAX_QUESTIONS = 90, 240
"""Requests a week: fewer say nothing, more say nothing new."""

TEMPERATURE = 0.3
_SEED = 20_261_123
_WAYS = ("openai",) * 6 + ("stream", "anthropic")


class Request(msgspec.Struct, frozen=True):
    """One customer's question, at its place in the fortnight."""

    number: int
    week: int
    at: datetime
    question: str
    user: str
    way: str


class Answered(msgspec.Struct, frozen=True):
    """What became of a request; `error` is empty when it was answered."""

    number: int
    seconds: float
    error: str = ""


def plan(requests_a_week: int, end: datetime) -> list[Request]:
    """The fourteen whole days (UTC) before `end`; the same for the same arguments.

    Each week is asked in a shuffled order: a machine that turns out slower than measured then ends a week early with
    all of its days covered.
    """
    rng = random.Random(_SEED)
    start = end.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2 * DAYS)
    planned = []
    for week in (1, 2):
        for index in range(requests_a_week):
            day = (week - 1) * DAYS + index * DAYS // requests_a_week
            at = start + timedelta(days=day, hours=min(max(rng.gauss(14, 3), 7.0), 21.0))
            planned.append((week, at, rng.choice(questions()).question, f"customer-{rng.randrange(40):02d}"))
    rng.shuffle(planned)
    planned.sort(key=lambda entry: entry[0])
    return [
        Request(number, week, at, question, user, _WAYS[number % len(_WAYS)])
        for number, (week, at, question, user) in enumerate(planned)
    ]


def seconds_per_request(assistant: Assistant, probes: int = 4) -> float:
    """How long one answer takes here with all slots busy, in seconds, measured outside the story's traces."""
    asked = [question.question for question in questions()[: 2 * probes : 2]]
    with evalspan.suppress(), ThreadPoolExecutor(SLOTS) as pool:
        assistant.answer(asked[0], GOOD_PROMPT)  # the first one warms the caches up
        began = time.perf_counter()
        list(pool.map(lambda question: assistant.answer(question, BAD_PROMPT), asked))
    return (time.perf_counter() - began) / len(asked)


def fits(seconds_each: float, budget_s: float) -> int:
    """How many requests a week fit into `budget_s` seconds for both weeks."""
    return int(min(max(budget_s / 2 / max(seconds_each, 1e-3), MIN_QUESTIONS), MAX_QUESTIONS))


def send(assistant: Assistant, requests: Iterable[Request], stop: Callable[[], bool]) -> Iterator[Answered]:
    """Asks every question, as many at once as the model has slots; `stop()` ends it after the running ones."""
    queue = iter(requests)
    running: set[Future[Answered]] = set()
    with ThreadPoolExecutor(SLOTS) as pool:
        while True:
            while len(running) < SLOTS and not stop():
                request = next(queue, None)
                if request is None:
                    break
                running.add(pool.submit(_ask, assistant, request))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()


def _ask(assistant: Assistant, request: Request) -> Answered:
    began = time.perf_counter()
    shift = (request.at - datetime.now(UTC)).total_seconds()
    prompt = GOOD_PROMPT if request.week == 1 else BAD_PROMPT
    with evalspan.context(
        session=f"{request.user}-{request.at:%d}", user=request.user, tags={SHIFT_TAG: f"{shift:.3f}"}
    ):
        try:
            assistant.answer(request.question, prompt, temperature=TEMPERATURE, seed=request.number, way=request.way)
        except Exception as error:  # noqa: BLE001 - a failed call is part of the traffic, and traced as such
            return Answered(request.number, time.perf_counter() - began, f"{type(error).__name__}: {error}")
    return Answered(request.number, time.perf_counter() - began)
