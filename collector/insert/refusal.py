"""Why an insert failed: the store is away, the data cannot be inserted, or a fault of ours; each is treated in its own way."""

from __future__ import annotations

from enum import Enum

from ...errors import EvalspanError, QueryError, StoreError
from . import nested

# ClickHouse's errors about the data itself: the same bytes fail again however often they are sent.
_ABOUT_THE_DATA = frozenset(
    {6, 27, 32, 33, 69, 70, 72, 117, 128, 131, 321, 407, 436, 437, 444, nested.NESTED_VALUE_ERROR_CODE}
)
# Those that pass: out of memory, time, space or places, read-only for a while, cancelled, no Keeper, network.
_PASSING = frozenset({
    0, 74, 75, 76, 159, 164, 173, 198, 201, 202, 203, 209, 210, 225, 236, 241, 242, 243, 252, 254, 279, 285, 286, 319, 373,
    394, 425, 439, 499, 516, 619, 668, 999, 1000, 1001, 1002,
})  # fmt: skip


class Refusal(Enum):
    """What is to be done about a failed insert."""

    WAIT = "the store is away"
    DATA = "the store refuses what is in it"
    UNKNOWN = "it may be either"


def classify(error: Exception) -> Refusal:
    """
    What an exception from an insert means.

    An exception that is none of the store's is a fault of ours on something in the data, unless the store's client
    failed in a way that it has no name for: the caller finds out by trying.
    """
    if isinstance(error, QueryError):
        if error.code in _ABOUT_THE_DATA:
            return Refusal.DATA
        return Refusal.WAIT if error.code in _PASSING else Refusal.UNKNOWN
    if isinstance(error, StoreError | OSError | MemoryError):
        return Refusal.WAIT
    if isinstance(error, EvalspanError):
        return Refusal.DATA
    return Refusal.UNKNOWN
