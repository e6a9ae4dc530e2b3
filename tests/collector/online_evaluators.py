"""Evaluators that the online tests name as module:name; the judge can be switched away."""

from __future__ import annotations

import asyncio
import functools
import threading
import time

from evalspan.evaluators import Score, Unscored, evaluator

AWAY = {"judge": False}


class JudgeUnavailable(Exception):
    """What a judge raises when its endpoint gives no answer."""


@evaluator(name="length", version="1", inline=True)
def length(output):
    return len(output or "")


@evaluator(name="polite", version="1", threshold=1, inline=True)
def polite(input, output, context):  # noqa: A002 - the contract's word
    if not output:
        return Unscored("no output")
    return Score(1.0 if "please" in output else 0.0, explanation=f"asked: {input}; context: {context}")


@evaluator(name="judge", version="1", threshold=0.5)
async def judge(output):
    await asyncio.sleep(0)
    if AWAY["judge"]:
        raise JudgeUnavailable("no answer in 5 attempts")
    return Score(0.9, details={"cost_usd": 0.01, "judge_model": "tiny"})


@evaluator(name="broken", version="1")
def broken(output):
    raise ZeroDivisionError("always")


class Counting:
    """A callable object, and how many calls of it are under way at once."""

    def __init__(self):
        self.running = self.most = 0
        self.lock = threading.Lock()

    def __call__(self, output):
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        # Waits for company as a judge's sync client waits for its answer; alone it goes on after two seconds.
        end = time.monotonic() + 2
        while self.most < 2 and time.monotonic() < end:
            time.sleep(0.01)
        with self.lock:
            self.running -= 1
        return True


def _at_least(limit, output):
    return len(output) >= limit


counting = Counting()
BLOCKING = evaluator(name="blocking", version="1")(counting)
PARTIAL = evaluator(name="at_least", version="1")(functools.partial(_at_least, 3))
BOTH = [length, polite]
