"""What is known about a metric that moved: how far, how much of it is mix and how much within, and what fits as its cause."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from ..statistics import Interval
from ..statistics.decomposition import Contribution, Decomposition
from .candidates import Candidate


class Part(msgspec.Struct, frozen=True):
    """What one group adds: the values that make it up, its effect with interval, its shares, means and counts."""

    group: dict[str, str]
    effect: float
    interval: Interval
    share_before: float
    share_after: float
    mean_before: float
    mean_after: float
    n_before: int
    n_after: int


class Effect(msgspec.Struct, frozen=True):
    """One side of the decomposition, with the groups' parts, the largest first; they add up to the effect."""

    effect: float
    interval: Interval
    parts: list[Part]


class Split(msgspec.Struct, frozen=True):
    """The same difference decomposed over the values of one dimension alone."""

    dimension: str
    mix: Effect
    within: Effect


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Why a metric moved. Means are in the unit of the stored scores: logarithms of milliseconds for latencies.

    `of` is where it stands, evaluations or usage. `mix` and `within` are over all dimensions jointly, `by_dimension` over each by itself.
    """

    metric: str
    of: str
    since: datetime
    until: datetime
    before: float
    after: float
    difference: float
    interval: Interval
    p: float
    n_before: int
    n_after: int
    mix: Effect
    within: Effect
    by_dimension: list[Split]
    candidates: list[Candidate]
    prompt_diff: list[str]
    traces: list[dict[str, Any]]
    sentences: list[str]


def mix_of(parts: Decomposition) -> Effect:
    """The part of the mix."""
    return Effect(parts.mix, parts.mix_interval, [_part(one) for one in parts.mix_parts])


def within_of(parts: Decomposition) -> Effect:
    """The part within the groups."""
    return Effect(parts.within, parts.within_interval, [_part(one) for one in parts.within_parts])


def _part(one: Contribution) -> Part:
    group = dict(one.group) if isinstance(one.group, tuple) else {}
    shares = (one.share_before, one.share_after, one.mean_before, one.mean_after, one.n_before, one.n_after)
    return Part(group, one.effect, one.interval, *shares)
