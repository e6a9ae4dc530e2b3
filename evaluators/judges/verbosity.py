"""Whether a judge pays for length: the correlation of its scores with the length of what it scored."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from ..text.tokens import unicode_tokens

NOTABLE = 0.3


class Verbosity(msgspec.Struct, frozen=True):
    """Spearman's rank correlation of score and length in words; None where one of them is constant or n < 4."""

    n: int
    correlation: float | None
    p: float | None
    warning: str | None


def verbosity(outputs: Sequence[str], scores: Sequence[float]) -> Verbosity:
    """The report over pairs of output and score; raises ValueError when their numbers differ.

    A correlation is no proof: longer answers may be better. Above 0.3 with p < 0.05 it is worth a look.
    """
    return verbosity_of_lengths([len(unicode_tokens(output)) for output in outputs], scores)


def verbosity_of_lengths(lengths: Sequence[int], scores: Sequence[float]) -> Verbosity:
    """As `verbosity`, where the lengths in words are known."""
    if len(lengths) != len(scores):
        raise ValueError(f"{len(lengths)} outputs but {len(scores)} scores")
    if len(scores) < 4 or len(set(scores)) < 2 or len(set(lengths)) < 2:
        return Verbosity(len(scores), None, None, None)
    correlation, p = _spearman(lengths, scores)
    warning = None
    if abs(correlation) >= NOTABLE and p < 0.05:
        more = "longer" if correlation > 0 else "shorter"
        warning = (
            f"{more} outputs score higher (Spearman {correlation:+.2f}, n {len(scores)}): compare outputs of equal "
            "length, or say in the criteria what length is right"
        )
    return Verbosity(len(scores), correlation, p, warning)


def _spearman(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """The correlation of ranks, ties sharing theirs, and its two-sided p by Student's t. Source: Spearman (1904)."""
    import numpy as np

    from ..statistics.distributions import student_cdf

    correlation = float(np.corrcoef(_ranks(x), _ranks(y))[0, 1])
    freedom = len(x) - 2
    spread = (1 - correlation) * (1 + correlation)
    t = abs(correlation) * (freedom / spread) ** 0.5 if spread > 0 else math.inf
    return correlation, 2 * student_cdf(freedom, -t)


def _ranks(values: Sequence[float]) -> list[float]:
    import numpy as np

    _, place, counts = np.unique(np.asarray(values, dtype=float), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return list((last - (counts - 1) / 2)[place])
