"""How many traces per window a budget or a segment's floor grants, turned into a probability that is known in advance."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable


class Allowance:
    """A probability under which about `per_window` of the offered traces of each key are kept.

    The probability is per_window / max(offered in the last window, offered in this one): 1 until the allowance is used,
    then falling as traffic grows. It depends on how many traces came before, never on the random bits of the one at
    hand, so 1/probability is that trace's weight and every sum stays unbiased, in a burst too.
    """

    def __init__(self, per_window: float, window_s: float, clock: Callable[[], float], *, keys: int = 10_000) -> None:
        self._per_window = per_window
        self._window_s = window_s
        self._clock = clock
        self._keys = keys
        self._counts: OrderedDict[Hashable, list[float]] = OrderedDict()  # key -> [window number, this, last]

    def probability(self, key: Hashable = None) -> float:
        """Count one offered trace of this key and return its keep probability in (0, 1]."""
        number = self._clock() // self._window_s
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = [number, 0.0, 0.0]
            if len(self._counts) > self._keys:
                self._counts.popitem(last=False)
        else:
            self._counts.move_to_end(key)
        if number != count[0]:
            count[2] = count[1] if number == count[0] + 1 else 0.0
            count[0], count[1] = number, 0.0
        count[1] += 1
        return min(1.0, self._per_window / max(count[1], count[2]))
