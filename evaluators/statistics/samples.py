"""What every statistic does first: turns a sequence into finite floats or refuses it; and the interval they all return."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sized
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ratings = Iterable[Any]
Values = ArrayLike | Iterable[float]
"""Numbers in any form: a list, a tuple, an array, a generator."""


class Interval(NamedTuple):
    """An interval from `low` to `high`, in the unit of what it estimates; infinite ends mean "not known"."""

    low: float
    high: float

    def within(self, low: float, high: float) -> Interval:
        """The part of it that can be true of something that lies between `low` and `high`: no coverage is lost."""
        return Interval(min(max(self.low, low), high), max(min(self.high, high), low))


def on_unit_scale(*samples: Iterable[float]) -> bool:
    """Whether all values lie between 0 and 1, as verdicts, shares and most scores do: means of them lie there, too."""
    return all(0 <= value <= 1 for sample in samples for value in sample)


def floats(values: Values, name: str, *, least: int = 1) -> Floats:
    """The values as a one-dimensional float array; an iterator is read once.

    Raises ValueError when one is missing, NaN, infinite or not a number, or when there are fewer than `least`:
    a score that is not there must be counted by the caller, never averaged away.
    """
    try:
        array = np.asarray(list(values) if isinstance(values, Iterator) else values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers: {error}") from None
    if array.ndim != 1:
        raise ValueError(f"{name} must be a flat sequence of numbers, not {array.ndim}-dimensional")
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise ValueError(f"{name}[{int(bad[0])}] is {float(array[bad[0]])}: leave unscored values out and count them")
    if array.size < least:
        raise ValueError(f"{name} has {array.size} values, at least {least} are needed")
    return array


def same_length(left: Sized, right: Sized, names: str) -> None:
    """Raises ValueError when two sequences that belong together differ in length."""
    if len(left) != len(right):
        raise ValueError(f"{names} must be equally long, not {len(left)} and {len(right)}")


def open_unit(value: float, name: str) -> float:
    """The value if it lies strictly between 0 and 1, else ValueError."""
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, not {value}")
    return float(value)


def positive(value: float, name: str, *, zero: bool = False) -> float:
    """The value if it is finite and above 0 (or 0 itself where `zero` allows it), else ValueError."""
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise ValueError(f"{name} must be a finite number {'of at least' if zero else 'above'} 0, not {value}")
    return float(value)
