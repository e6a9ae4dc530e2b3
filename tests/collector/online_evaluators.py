"""Evaluators that the online tests name as module:name; the judge can be switched away."""

from __future__ import annotations

import asyncio

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


BOTH = [length, polite]
