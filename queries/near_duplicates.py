"""Finds texts that say nearly the same: MinHash signatures find candidates, the exact Jaccard index decides.

Used to keep one failure of many alike, and to find evaluation cases that leaked into prompts or training data.
Source: Broder, On the resemblance and containment of documents, 1997.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Shingles = NDArray[np.uint64]

SHINGLE = 4  # characters: short questions have few words
BANDS, ROWS = 24, 3  # finds pairs of Jaccard 0.7 with probability 0.99995
THRESHOLD = 0.7
_NO_WORD = re.compile(r"[\W_]+")  # with what str.isalnum() calls no letter and no digit
_MIX = 0x9E3779B97F4A7C15  # 2 to the 64th over the golden ratio, odd


def normalize(text: str) -> str:
    """Case, width, punctuation and spacing removed: texts that a reader would call the same become equal."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _NO_WORD.sub(" ", folded).strip()


def shingles(text: str) -> Shingles:
    """Hashes of all runs of four characters of the normalised text, ascending, each once."""
    import numpy as np

    plain = normalize(text)
    letters = np.frombuffer(plain.ljust(SHINGLE, "\0").encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(
        np.uint64
    )
    hashed = letters[: -SHINGLE + 1]
    for place in range(1, SHINGLE):
        hashed = hashed * np.uint64(_MIX) + letters[place : len(letters) - SHINGLE + 1 + place]
    # The high half is the well mixed one of a product; a hash of 32 bits is enough for texts of some thousand runs.
    mixed: Shingles = np.unique(hashed * np.uint64(_MIX) >> np.uint64(32))
    return mixed if plain else mixed[:0]


def jaccard(a: Shingles, b: Shingles) -> float:
    """The share of shingles that both have; 1 for two empty texts."""
    import numpy as np

    both = len(np.intersect1d(a, b, assume_unique=True))
    return both / (len(a) + len(b) - both) if len(a) or len(b) else 1.0


class NearDuplicates:
    """An index of texts under keys, searched by likeness."""

    def __init__(self, threshold: float = THRESHOLD) -> None:
        self.threshold = threshold
        self._shingles: list[Shingles] = []
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
        if not len(self._shingles[number]):
            self._empty.append(number)
        return number

    def near(self, text: str) -> Iterator[tuple[int, str, float]]:
        """Number, key and Jaccard index of every text that is at least as like as the threshold."""
        wanted = shingles(text)
        candidates = {number for bucket in self._bands(wanted) for number in self._buckets.get(bucket, ())}
        for number in sorted(candidates if len(wanted) else self._empty):
            likeness = jaccard(wanted, self._shingles[number])
            if likeness >= self.threshold:
                yield number, self._keys[number], likeness

    def find(self, text: str) -> tuple[str, float] | None:
        """Key and likeness of the most alike text, None when nothing reaches the threshold."""
        found = max(self.near(text), key=lambda one: one[2], default=None)
        return (found[1], found[2]) if found else None

    @staticmethod
    def _bands(wanted: Shingles) -> Iterable[tuple[int, bytes]]:
        if not len(wanted):
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


def _signature(wanted: Shingles) -> Shingles:
    factors, offsets = _permutations()
    smallest: Shingles = (factors[:, None] * wanted[None, :] + offsets[:, None]).min(axis=1)
    return smallest


@cache
def _permutations() -> tuple[Shingles, Shingles]:
    """Factors and offsets of Dietzfelbinger's multiply-shift hashes, modulo 2 to the 64th."""
    import numpy as np

    draw = np.random.default_rng(20261123)
    factors = draw.integers(0, 1 << 63, BANDS * ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    return factors, draw.integers(0, 1 << 63, BANDS * ROWS, dtype=np.uint64)
