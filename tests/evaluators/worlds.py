"""Scored calls of four weeks and one week, between which happens what a story names; several dimensions vary at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

CAUSES: dict[str, set[str]] = {
    "nothing": set(),
    "harmless": set(),  # a release that changes no score
    "hidden": set(),  # nobody recorded what happened
    "new": set(),  # documents that are new and as good as the old ones
    "prompt": {"prompt"},
    "rollout": {"prompt"},  # half of the calls have the new prompt
    "mix": {"segment"},
    "topics": {"topic"},
    "services": {"service"},
    "documents": {"documents"},
    "segment": {"segment"},
    "topic": {"topic"},
    "service": {"service"},
    "model": {"model"},
    "tools": {"tool"},
    "failing": {"tool"},
    "parameters": {"parameters"},
    "release": {"release"},
    "languages": {"segment"},  # a language is a segment of the traffic
    "language": {"segment"},
    "model mix": {"model", "segment"},
    "failing documents": {"tool", "documents"},
    "prompt mix documents": {"prompt", "segment", "documents"},
    "prompt topics documents": {"prompt", "topic", "documents"},
}
"""What happens in a story, and the kinds of candidates that come first then."""

_STEPS = {"prompt": "prompt", "model": "model", "tools": "tools", "parameters": "parameters", "release": "release"}


def world(
    seed: int,
    story: str,
    *,
    before: int = 1680,
    after: int = 420,
    sign: int = -1,
    scale: float = 1.0,
    kind: str = "ordinal",
    weighted: bool = False,
) -> dict[str, Any]:
    """The columns of the query shift_calls. Effects are `sign` times `scale`, `kind` is ordinal (1 to 5), unit or binary."""
    rng, told, n = np.random.default_rng([seed, *story.encode()]), story.split(), before + after
    late = np.arange(n) >= before
    segment = _mixed(rng, late, ("private", "business", "reseller"), (0.6, 0.3, 0.1), (0.35, 0.25, 0.4), "mix" in told)
    topic = _mixed(rng, late, ("returns", "prices", "tents"), (0.5, 0.4, 0.1), (0.3, 0.3, 0.4), "topics" in told)
    service = _mixed(rng, late, ("shop", "help"), (0.7, 0.3), (0.4, 0.6), "services" in told)
    language = _mixed(rng, late, ("en", "de", "fr"), (0.6, 0.3, 0.1), (0.35, 0.25, 0.4), "languages" in told)
    level = -0.2 * (segment == "business") - 1.2 * (segment == "reseller") - 0.1 * (topic == "prices")
    level = (
        level
        - 1.0 * (topic == "tents")
        - 1.0 * (service == "help")
        - 0.1 * (language == "de")
        - 1.0 * (language == "fr")
    )
    columns = {name: np.array(["old"] * n, dtype=object) for name in _STEPS}
    effect = 0.5 * (late & ("hidden" in told))
    for word, column in _STEPS.items():
        if word in told:
            columns[column][late] = "new"
            effect = effect + 0.5 * late
    if "harmless" in told:
        columns["release"][late] = "new"
    if "rollout" in told:
        rolled = late & (rng.random(n) < 0.5)
        columns["prompt"][rolled] = "new"
        effect = effect + 0.7 * rolled
    grown = late & (rng.random(n) < 0.3) & (("documents" in told) | ("new" in told))
    failed = rng.random(n) < np.where(late & ("failing" in told), 0.3, 0.03)
    effect = effect + 0.9 * (grown & ("documents" in told)) + 1.2 * failed
    for word, broken in (
        ("segment", segment == "business"),
        ("topic", topic == "prices"),
        ("service", service == "help"),
        ("language", language == "de"),
    ):
        effect = effect + 0.9 * (broken & late & (word in told))
    score = (4.2 if sign < 0 else 2.8) - sign * level + sign * scale * effect + rng.normal(0, 0.9, n)
    return {
        "is_after": late.astype(float),
        "score": _scored(rng, score, kind),
        "weight": rng.choice([1.0, 4.0], n) if weighted else np.ones(n),
        "segment": segment,
        "topic": topic,
        "service": service,
        "language": language,
        "new_documents": grown.astype(float),
        "tool_failed": failed.astype(float),
        "version": np.array([""] * n, dtype=object),
        **columns,
    }


def _scored(rng: np.random.Generator, level: np.ndarray, kind: str) -> np.ndarray:
    if kind == "binary":
        return (rng.random(len(level)) < 1 / (1 + np.exp(-1.5 * (level - 3)))).astype(float)
    return np.clip(level / 5, 0, 1) if kind == "unit" else np.clip(np.round(level), 1, 5)


def _mixed(
    rng: np.random.Generator,
    late: np.ndarray,
    names: Sequence[str],
    usual: Sequence[float],
    drifted: Sequence[float],
    moved: bool,
) -> np.ndarray:
    """A value for each call, in other shares later on if they `moved`."""
    n = len(late)
    drawn = np.where(late & moved, rng.choice(len(names), n, p=drifted), rng.choice(len(names), n, p=usual))
    return np.array(names, dtype=object)[drawn]
