"""A running latency quantile per (service, operation, model), so that the sampler knows what slow means right now."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

# Relative error of a quantile: a bucket spans a factor of 1.02.
_ACCURACY = 0.01
_GAMMA = (1 + _ACCURACY) / (1 - _ACCURACY)
_LOG_GAMMA = math.log(_GAMMA)


class QuantileSketch:
    """Counts in logarithmic buckets (DDSketch, Masson et al. 2019): quantiles within 1 %, and sketches add up."""

    __slots__ = ("buckets", "count")

    def __init__(self) -> None:
        self.buckets: dict[int, float] = {}
        self.count = 0.0

    def add(self, value: float, weight: float = 1.0) -> None:
        """Count a value in seconds; below a nanosecond counts as a nanosecond."""
        index = math.ceil(math.log(max(value, 1e-9)) / _LOG_GAMMA)
        self.buckets[index] = self.buckets.get(index, 0.0) + weight
        self.count += weight

    def merge(self, other: QuantileSketch) -> None:
        """Add another sketch's counts, from an earlier window or another collector."""
        for index, weight in other.buckets.items():
            self.buckets[index] = self.buckets.get(index, 0.0) + weight
        self.count += other.count

    def quantile(self, q: float) -> float:
        """The value below which a share q lies; NaN when empty."""
        return 2 * self.bound(q) / (_GAMMA + 1)

    def bound(self, q: float) -> float:
        """The end of the bucket that the quantile is in: at most a share 1 - q lies above; NaN when empty."""
        if not self.count:
            return math.nan
        rank, seen = q * self.count, 0.0
        for index in sorted(self.buckets):
            seen += self.buckets[index]
            if seen >= rank:
                break
        return _GAMMA**index * (1 + 1e-12)  # a value on the bound is within, whatever the logarithm was rounded to


class _Window:
    __slots__ = ("current", "limit", "previous", "since", "started")

    def __init__(self, now: float) -> None:
        self.current = QuantileSketch()
        self.previous = QuantileSketch()
        self.started = now
        self.limit = math.inf
        self.since = 0


class RunningQuantile:
    """Whether a duration is above the quantile of the last one to two windows of its kind.

    The limit comes from earlier spans only, never from the one asked about, so the answer is known before the decision
    and the weight stays valid. Fewer than `minimum` spans of a kind say nothing about its tail: then nothing is slow.
    """

    def __init__(
        self, q: float, clock: Callable[[], float], *, window_s: float = 600, minimum: int = 100, kinds: int = 5_000
    ) -> None:
        self._q = q
        self._clock = clock
        self._window_s = window_s
        self._minimum = minimum
        self._kinds = kinds
        self._windows: OrderedDict[tuple[str, str, str], _Window] = OrderedDict()

    def is_slow(self, kind: tuple[str, str, str], seconds: float) -> bool:
        """Whether this duration is above the running quantile of its kind."""
        window = self._windows.get(kind)
        return window is not None and seconds > window.limit

    def observe(self, kind: tuple[str, str, str], seconds: float, weight: float = 1.0) -> None:
        """Count a span, after the question about it was answered."""
        now = self._clock()
        window = self._windows.get(kind)
        if window is None:
            window = self._windows[kind] = _Window(now)
            if len(self._windows) > self._kinds:
                self._windows.popitem(last=False)
        else:
            self._windows.move_to_end(kind)
        if now - window.started >= self._window_s:
            window.previous, window.current, window.started = window.current, QuantileSketch(), now
        window.current.add(seconds, weight)
        window.since += 1
        # The limit moves slowly; sorting the buckets for each span would cost more than the sampler.
        if window.since >= min(100, self._minimum):
            self._refresh(window)

    def _refresh(self, window: _Window) -> None:
        merged = QuantileSketch()
        merged.merge(window.previous)
        merged.merge(window.current)
        # The bound and not the estimate, which may lie below it by a hundredth: where durations are all alike (time-outs,
        # cached answers, a clock of whole milliseconds) everything would be slow.
        window.limit = merged.bound(self._q) if merged.count >= self._minimum else math.inf
        window.since = 0
