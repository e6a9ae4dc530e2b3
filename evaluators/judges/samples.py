"""Several verdicts on one output: mean, unbiased variance, range at a fixed number, stability, weighted scores."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from typing import Any

import msgspec

from .providers import Reply

RANGE_SAMPLES = 3
UNSTABLE_VARIANCE = 0.5
WIDEST_RANGE = 1.5
UNDERSPECIFIED = (
    "the scores of one output differ by more than 1.5 points: the judge prompt is underspecified. Give each level a more "
    "concrete anchor, put 2-3 example responses with their scores into the prompt, keep the temperature at 0.3 or below"
)
_SCORE = re.compile(r'"score"\s*:\s*([1-5])')


class Spread(msgspec.Struct, frozen=True):
    """How much the verdicts differ."""

    n: int
    mean: float
    variance: float | None
    """Unbiased (n - 1); None for one sample: unknown is not stable."""
    range: float | None
    """Of the first three samples at most, because a range grows with their number; None for one."""
    stable: bool | None
    """Variance below 0.5; None for one sample."""

    @property
    def underspecified(self) -> bool:
        """Whether the range shows that the judge's prompt leaves too much open."""
        return self.range is not None and self.range > WIDEST_RANGE


def spread(scores: Sequence[float]) -> Spread:
    """The spread of at least one score."""
    mean = statistics.fmean(scores)
    if len(scores) < 2:
        return Spread(len(scores), mean, None, None, None)
    variance = statistics.variance(scores)
    first = scores[:RANGE_SAMPLES]
    return Spread(len(scores), mean, variance, max(first) - min(first), variance < UNSTABLE_VARIANCE)


def weighted_score(reply: Reply) -> float | None:
    """The expected score over the probabilities of the digits at the score's place, None without log-probabilities.

    Source: Liu et al. (2023), G-Eval, equation 1, over the alternatives that the API lists.
    """
    written, found = "".join(one.token for one in reply.tokens), None
    for match in _SCORE.finditer(written):
        found = match.start(1)
    if found is None:
        return None
    position = 0
    for token in reply.tokens:
        if position <= found < position + len(token.token):
            weights = {
                int(text.strip()): math.exp(logprob)
                for text, logprob in reversed(token.alternatives)
                if text.strip() in set("12345")
            }
            total = sum(weights.values())
            return sum(score * weight for score, weight in weights.items()) / total if total else None
        position += len(token.token)
    return None


def failures(results: Sequence[Any]) -> list[Exception]:
    """What went wrong with the samples that have no verdict."""
    return [one for one in results if isinstance(one, Exception)]
