"""Texts that say nearly the same are found, whatever the hashes draw; the exact index decides."""

from __future__ import annotations

import random

import numpy as np
import pytest

from evalspan.queries.near_duplicates import (
    BANDS,
    ROWS,
    THRESHOLD,
    NearDuplicates,
    _signature,
    clusters,
    jaccard,
    normalize,
    shingles,
)

WORDS = ["".join(random.Random(n).choices("abcdefghijklmnop", k=2 + n % 8)) for n in range(3000)]


def runs(text: str) -> set[str]:
    plain = normalize(text)
    return {plain[start : start + 4] for start in range(max(1, len(plain) - 3))} if plain else set()


def edited(text: str, words: int, rng: random.Random) -> str:
    split = text.split()
    for _ in range(words):
        split[rng.randrange(len(split))] = rng.choice(WORDS)
    return " ".join(split)


@pytest.mark.slow
@pytest.mark.parametrize("length", [5, 8, 40, 150])
def test_a_pair_above_the_threshold_is_not_missed(length: int) -> None:
    rng, pairs, missed = random.Random(length), 0, 0
    while pairs < 300:
        text = " ".join(rng.choices(WORDS, k=length))
        other = edited(text, rng.randint(0, length // 8 + 1), rng)
        if len(runs(text) & runs(other)) / len(runs(text) | runs(other)) < THRESHOLD:
            continue
        index = NearDuplicates()
        index.add("it", text)
        pairs, missed = pairs + 1, missed + (index.find(other) is None)
    assert missed == 0, f"{missed} of {pairs}"


def test_the_hashes_of_a_signature_are_different_ones() -> None:
    text = " ".join(random.Random(1).choices(WORDS, k=100))
    other = edited(text, 20, random.Random(2))
    a, b = _signature(shingles(text)), _signature(shingles(other))
    # Each agrees with the probability of the Jaccard index, on its own: all or none of them would mean one and the same hash.
    alike, expected = float(np.mean(a == b)), jaccard(shingles(text), shingles(other))
    assert alike == pytest.approx(expected, abs=4 * (expected * (1 - expected) / (BANDS * ROWS)) ** 0.5)


def test_likeness_is_the_share_of_common_runs_of_four_letters() -> None:
    rng = random.Random(3)
    for length in (1, 2, 9, 60):
        text = " ".join(rng.choices(WORDS, k=length))
        other = edited(text, length // 3, rng)
        expected = len(runs(text) & runs(other)) / len(runs(text) | runs(other))
        assert jaccard(shingles(text), shingles(other)) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "!?", "a", "ab", "abc", "Ä", "日本", "👩‍👩‍👧", "half \ud83d a pair"])
def test_short_and_empty_texts_are_near_to_themselves_alone(text: str) -> None:
    assert clusters([text, text + " ", "something else entirely"]) == [[0, 1], [2]]


def test_one_text_of_many_spellings_is_one_cluster_and_other_texts_are_others() -> None:
    asked = ["Where is my order?", "where is my ORDER", "Where  is my order…", "How do I cancel?", "Where is my order?"]
    assert clusters(asked) == [[0, 1, 2, 4], [3]]
