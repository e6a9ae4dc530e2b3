"""The inputs' part of the drift report: which lengths, languages, tags, topics and words moved, each in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...queries import catalog

if TYPE_CHECKING:
    from ...queries.drift_extent import Extent
    from ...queries.store.protocol import StoreClient

WORDS_P = 0.02
TOPICS = "input_topic"


def inputs_that_moved(store: StoreClient, period: Mapping[str, Any], seen: Extent) -> list[str]:
    """What moved in lengths, languages, tags, topics and words, each with its size and certainty."""
    topics = _topics_that_moved(store, period) if seen.has_topics else []
    if not seen.has_calls:
        return topics
    told = [
        f"{row['feature']}: median {row['median_before']:g} before, {row['median_after']:g} after "
        f"(Kolmogorov-Smirnov p {row['ks_p']:.2g}, Jensen-Shannon distance {row['js_distance']:.2f})"
        for row in _rows(store, "input_drift_numbers", period, sample=5000)
        if row["moved"]
    ]
    told += [
        f"{row['feature']}: {row['moved_most']} had {row['share_before']:.0%}, has {row['share_after']:.0%} "
        f"(chi-square p {row['chi_square_p']:.2g}, Jensen-Shannon distance {row['js_distance']:.2f})"
        for row in _rows(store, "input_drift_categories", period, sample=2000)
        if row["moved"]
    ]
    told += topics
    told += [
        f"words: more of {', '.join(word[0] for word in row['gained'][:5])}; less of {', '.join(word[0] for word in row['lost'][:5])} "
        f"(Jensen-Shannon distance {row['js_distance']:.2f}, by chance below {row['bound']:.2f}, p {row['p']:.2g})"
        for row in _rows(store, "input_drift_words", period, sample=1000, splits=49)
        if row["p"] <= WORDS_P
    ]
    return told


def _topics_that_moved(store: StoreClient, period: Mapping[str, Any]) -> list[str]:
    return [
        f"topics: more of {_topics(row['gained'])}; less of {_topics(row['lost'])} (chi-square p {row['chi_square_p']:.2g}, "
        f"Jensen-Shannon distance {row['js_distance']:.2f}, {row['n_before']} inputs before, {row['n_after']} after)"
        for row in _rows(store, "label_drift", period, metric=TOPICS)
        if row["moved"]
    ]


def _topics(shares: list[tuple[str, float, float]]) -> str:
    return ", ".join(f"{label!r} ({before:.0%} to {after:.0%})" for label, before, after in shares[:3])


def _rows(store: StoreClient, name: str, period: Mapping[str, Any], **parameters: Any) -> list[dict[str, Any]]:
    return catalog.get(name).run(store, timeout_s=120, **period, **parameters).dicts()
