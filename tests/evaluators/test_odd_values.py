"""Whatever a target or an evaluator hands over costs that one value, never the run: everything is made plain at the door."""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import enum
import json
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pydantic
import pytest
from markupsafe import Markup

from evalspan.evaluators import Grounding, Score, evaluator, exact_match, run_evaluator
from evalspan.evaluators.contract import UnscoredCause
from evalspan.evaluators.datasets import Example
from evalspan.evaluators.experiments.run import RunSettings, run_cases
from evalspan.evaluators.experiments.target import Identity, Target


class Plan(str, enum.Enum):  # noqa: UP042 - the older form, which is what people have
    PRO = "pro"


@dataclass
class Price:
    usd: int = 49


class Page(pydantic.BaseModel):
    text: str = "x"


class Speechless:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


CYCLE: dict[str, Any] = {}
CYCLE["self"] = CYCLE
VALUES: dict[str, Any] = {
    "numpy text": np.str_("x"), "numpy number": np.float64(1), "numpy truth": np.bool_(True), "array": np.arange(3),
    "numpy time": np.datetime64("2026-01-01"), "markup": Markup("<b>"), "decimal": decimal.Decimal("1.10"), "enum": Plan.PRO,
    "bytes": b"\xff\x00", "nan": float("nan"), "date": dt.date(2026, 1, 1), "dataclass": Price(), "model": Page(),
    "deep": nested(2000), "cycle": CYCLE, "surrogate": "\ud800", "speechless": Speechless(), "set": {1, 2}, "keys": {1: 2},
    "generator": (n for n in (1,)), "huge": 10**400, "complex": 1j, "function": nested, "exception": ValueError("\ud800"),
    "memory": memoryview(b"x"), "type": int,
}  # fmt: skip
NUMBERS = {"numpy number": 1.0, "numpy truth": 1.0, "decimal": 1.1}


@evaluator(name="details", version="1", direction="higher")
def details(output: Any, example: Any) -> Score:
    value = VALUES[example.input["value"]]
    return Score(0.5, details={"value": value, "list": [value], "map": {"inner": value}})


@evaluator(name="returned", version="1", direction="higher")
def returned(output: Any, example: Any) -> Any:
    return VALUES[example.input["value"]]


@evaluator(name="scored", version="1", direction="higher")
def scored(output: Any, example: Any) -> Score:
    value = VALUES[example.input["value"]]
    return Score(value, label=value, explanation=value)


def failing(value: Any) -> Any:
    raise RuntimeError(value)


TARGETS: dict[str, Any] = {
    "evaluators only": lambda asked: "x",
    "answer": lambda asked: VALUES[asked["value"]],
    "answer and context": lambda asked: {"output": VALUES[asked["value"]], "context": VALUES[asked["value"]]},
    "exception": lambda asked: failing(VALUES[asked["value"]]),
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_e_odd_values_cost_one_value_and_the_run_is_written(target: Any) -> None:
    cases = [Example(name, "golden", {"value": name}) for name in VALUES]
    suite: Any = [exact_match, Grounding(), details, returned, scored]
    ran = run_cases(cases, Target(target, Identity("odd")), suite, RunSettings())
    assert {one.example_id for one in ran} == set(VALUES)
    json.dumps([msgspec.to_builtins(one) for one in ran], allow_nan=False).encode()
    # Only a target that fails itself leaves nothing to score: a text among the values is always an answer.
    assert any(one.metrics for one in ran) is (target is not TARGETS["exception"])
    for one in ran:
        for metric in one.metrics:
            if metric.name in ("returned", "scored"):
                assert metric.value == NUMBERS.get(one.example_id), (one.example_id, metric)
                assert (metric.value is None) is bool(metric.unscored)


class Own(BaseException):
    """What no `except Exception` catches."""


RAISED: dict[str, Any] = {
    "stop iteration": lambda: StopIteration(1),
    "generator exit": GeneratorExit,
    "cancelled": asyncio.CancelledError,
    "group of exits": lambda: BaseExceptionGroup("g", [SystemExit(0)]),
    "exit": lambda: SystemExit(0),
    "own": Own,
}


def made(kind: str) -> BaseException:
    error: BaseException = RAISED[kind]()
    return error


@pytest.mark.parametrize("asynchronous", [True, False])
@pytest.mark.parametrize("kind", RAISED)
async def test_e_whatever_an_evaluator_raises_it_costs_its_own_score_at_once(kind: str, *, asynchronous: bool) -> None:
    def raising(output: Any) -> Any:
        raise made(kind)

    async def raising_later(output: Any) -> Any:
        await asyncio.sleep(0)
        raise made(kind)

    judged = await run_evaluator(evaluator(name="e")(raising_later if asynchronous else raising), output="x")
    assert judged.value is None
    assert judged.passed is None
    assert judged.unscored
    assert judged.cause is UnscoredCause.ERROR  # and not the time limit
    answer = await Target(raising_later if asynchronous else raising, Identity("odd")).answer({}, 60)
    assert answer.output is None
    assert "no answer within" not in (answer.error or "no answer within")


async def test_e_the_task_that_runs_an_evaluator_can_still_be_cancelled() -> None:
    @evaluator(name="e")
    async def waiting(output: Any) -> bool:
        await asyncio.get_running_loop().create_future()
        return True

    task = asyncio.create_task(run_evaluator(waiting, output="x"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
