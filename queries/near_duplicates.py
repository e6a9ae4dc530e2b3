"""Finds texts that say nearly the same: MinHash signatures find candidates, the exact Jaccard index decides.

Used to keep one failure of many alike, and to find evaluation cases that leaked into prompts or training data.
Source: Broder, On the resemblance and containment of documents, 1997.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHINGLE = 4  # characters: short questions have few words
BANDS, ROWS = 24, 3  # finds pairs of Jaccard 0.7 with probability 0.99995
THRESHOLD = 0.7
_NO_WORD = re.compile(r"[\W_]+")  # with what str.isalnum() calls no letter and no digit
_PRIME = (1 << 61) - 1


def normalize(text: str) -> str:
    """Case, width, punctuation and spacing removed: texts that a reader would call the same become equal."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _NO_WORD.sub(" ", folded).strip()


def shingles(text: str) -> frozenset[int]:
    """Hashes of all runs of four characters of the normalised text."""
    plain = normalize(text)
    if not plain:
        return frozenset()
    runs = {plain[start : start + SHINGLE] for start in range(max(1, len(plain) - SHINGLE + 1))}
    return frozenset(zlib.crc32(run.encode()) for run in runs)


def jaccard(a: frozenset[int], b: frozenset[int]) -> float:
    """The share of shingles that both have; 1 for two empty texts."""
    return len(a & b) / len(a | b) if a or b else 1.0


class NearDuplicates:
    """An index of texts under keys, searched by likeness."""

    def __init__(self, threshold: float = THRESHOLD) -> None:
        self.threshold = threshold
        self._shingles: list[frozenset[int]] = []
        self._keys: list[str] = []
        self._buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
        self._empty: list[int] = []

    def add(self, key: str, text: str) -> int:
        """Adds a text and returns its number."""
        number = len(self._keys)
        self._keys.append(key)
        self._shingles.append(shingles(text))
        for bucket in self._bands(self._shingles[number]):
            self._buckets[bucket].append(number)
        if not self._shingles[number]:
            self._empty.append(number)
        return number

    def near(self, text: str) -> Iterator[tuple[int, str, float]]:
        """Number, key and Jaccard index of every text that is at least as like as the threshold."""
        wanted = shingles(text)
        candidates = {number for bucket in self._bands(wanted) for number in self._buckets.get(bucket, ())}
        for number in sorted(candidates if wanted else self._empty):
            likeness = jaccard(wanted, self._shingles[number])
            if likeness >= self.threshold:
                yield number, self._keys[number], likeness

    def find(self, text: str) -> tuple[str, float] | None:
        """Key and likeness of the most alike text, None when nothing reaches the threshold."""
        found = max(self.near(text), key=lambda one: one[2], default=None)
        return (found[1], found[2]) if found else None

    @staticmethod
    def _bands(wanted: frozenset[int]) -> Iterable[tuple[int, bytes]]:
        if not wanted:
            return ()
        signature = _signature(wanted)
        return [(band, signature[band * ROWS : (band + 1) * ROWS].tobytes()) for band in range(BANDS)]


def clusters(texts: Sequence[str], threshold: float = THRESHOLD) -> list[list[int]]:
    """The numbers of texts that belong together, first come first; each text is in exactly one cluster.

    A text joins the cluster whose first text it is nearest to, so that chains of likeness do not run away; the same
    text again joins where it is.
    """
    heads = NearDuplicates(threshold)
    groups: list[list[int]] = []
    homes: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        if (home := homes.get(text)) is not None:
            home.append(number)
            continue
        match = max(heads.near(text), key=lambda one: one[2], default=None)
        if match is None:
            heads.add(str(number), text)
            groups.append([number])
        else:
            groups[match[0]].append(number)
        homes[text] = groups[match[0] if match else -1]
    return groups


def _signature(wanted: frozenset[int]) -> NDArray[np.uint64]:
    import numpy as np

    factors, offsets = _permutations()
    values = np.fromiter(wanted, dtype=np.uint64, count=len(wanted))
    hashed = (factors[:, None] * values[None, :] + offsets[:, None]) % np.uint64(_PRIME)
    smallest: NDArray[np.uint64] = hashed.min(axis=1)
    return smallest


@cache
def _permutations() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    import numpy as np

    draw = np.random.default_rng(20261123)
    # Below 2^29, so that a product with a 32-bit shingle stays inside 64 bits.
    factors = draw.integers(1, 1 << 29, BANDS * ROWS, dtype=np.uint64)
    return factors, draw.integers(0, 1 << 29, BANDS * ROWS, dtype=np.uint64)
