"""One odd value in a score, a row or a page costs that value: everything becomes plain JSON at one door."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalspan.queries.plain_json import plain_json


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "another text"


class Color(Enum):
    RED = "red"


@dataclass
class Point:
    x: float
    y: float = float("nan")


class Raises:
    def __str__(self) -> str:
        raise ValueError("no")


class Endless(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("not today")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Text("mine"), "mine"),
        ("half \ud83e and whole \ud83e\udd16", "half \ufffd and whole \U0001f916"),
        (np.array(["49"])[0], "49"),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.array([[1, 2]]), [[1, 2]]),
        (float("inf"), None),
        (Decimal("NaN"), None),
        (Decimal("1.50"), 1.5),
        (1 << 70, str(1 << 70)),
        (Color.RED, "red"),
        (b"caf\xc3\xa9", "café"),
        (b"\xff\x00", "/wA="),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        (datetime(2026, 1, 2), "2026-01-02T00:00:00Z"),  # noqa: DTZ001 - what it is about
        (date(2026, 1, 2), "2026-01-02"),
        (timedelta(minutes=2), 120.0),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Point(1.0), {"x": 1.0, "y": None}),
        ({1: {2}}, {"1": [2]}),
        (Raises(), "<Raises, whose str() raised ValueError>"),
    ],
)
def test_an_odd_value_becomes_what_json_can_hold(value: Any, expected: Any) -> None:
    found = plain_json(value)
    assert found == expected
    assert type(found) is type(expected)
    msgspec.json.encode(found)


def test_a_value_inside_itself_or_thousands_deep_ends_as_text() -> None:
    deep: list[Any] = []
    deep.append(deep)
    assert msgspec.json.encode(plain_json(deep))
    nested: Any = "core"
    for _ in range(5_000):
        nested = [nested]
    assert msgspec.json.encode(plain_json(nested))


def test_a_container_that_raises_costs_itself_only() -> None:
    assert plain_json({"good": 1, "bad": Endless(a=1)})["good"] == 1


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
    max_leaves=20,
)


@pytest.mark.slow
@given(anything)
def test_whatever_it_is_it_can_be_written_and_is_the_same_the_second_time(value: Any) -> None:
    once = plain_json(value)
    assert msgspec.json.decode(msgspec.json.encode(once)) == once
    assert plain_json(once) == once
