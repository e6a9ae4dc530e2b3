"""Judge calls of `probability = "auto"` against a uniform sample's, on real scores: the same interval, its coverage.

`python -m benchmarks.evaluators.allocation FOLDER`: FOLDER holds UniEval's `qags_cnndm_result.json`, `qags_xsum_result.json`
and `topical_chat_result.json` (github.com/maszhongming/UniEval, MIT). A day of traffic is drawn from their texts; the
score of a call is what people said of it, and only drawn calls show it. Strata are the source (the segment) and the
fifth that a cheap model's score lies in (published with the data: the proxy).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalspan.evaluators.statistics.allocation import Stratum, allocate, post_stratified_mean

DAY, DAYS, HALF, Z = 6_000, 300, 0.015, 1.959963984540054
SOURCES = (("qags_cnndm", "consistency"), ("qags_xsum", "consistency"), ("topical_chat", "groundedness"))
TRAFFIC = {
    "as many of each": (1.0, 1.0, 1.0),
    "nine tenths from the steadiest source": (0.90, 0.05, 0.05),
    "one source alone, nothing known of its calls": (0.0, 1.0, 0.0),
}


def read(folder: Path) -> tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.float64]]:
    """Source number, stratum and human score of every text."""
    sources, strata, scores = [], [], []
    for number, (name, field) in enumerate(SOURCES):
        items: list[dict[str, Any]] = json.loads((folder / f"{name}_result.json").read_text(encoding="utf-8"))
        cheap = np.array([one["predict_scores"][field] for one in items], dtype=np.float64)
        fifths = np.searchsorted(np.quantile(cheap, [0.2, 0.4, 0.6, 0.8]), cheap)
        for item, fifth in zip(items, fifths, strict=True):
            sources.append(number)
            strata.append(f"{name} {fifth}")
            scores.append(float(item["scores"][field]))
    return np.array(sources), np.array(strata), np.array(scores)


def simulate(strata: NDArray[np.str_], scores: NDArray[np.float64], shares: NDArray[np.float64]) -> tuple[float, float]:
    """Calls as a share of the uniform sample's for the same interval, and coverage of the intervals."""
    rng = np.random.default_rng(5)
    known: dict[str, Stratum] = {}
    spent = uniform = covered = 0.0
    for day in range(DAYS):
        drawn = rng.choice(len(scores), DAY, p=shares)
        names, values = strata[drawn], scores[drawn]
        kinds, codes, sizes = np.unique(names, return_inverse=True, return_counts=True)
        chosen_p = allocate(known or {"": Stratum(DAY)}, half_width=HALF, floor=0.01)
        p = np.array([chosen_p.get(str(name), max(chosen_p.values())) for name in kinds])[codes]
        chosen = rng.random(DAY) < p
        sized = {str(name): float(size) for name, size in zip(kinds, sizes, strict=True)}
        found = post_stratified_mean(values[chosen], p[chosen], [str(name) for name in names[chosen]], sized)
        covered += found.interval.low <= values.mean() <= found.interval.high
        if day:
            half = (found.interval.high - found.interval.low) / 2
            spent += float(chosen.sum())
            uniform += 1 / ((half / Z) ** 2 / values.var(ddof=1) + 1 / DAY)
        own = {str(name): values[chosen & (names == name)] for name in kinds}
        known = {name: Stratum(sized[name], len(of), float(of.var()) if len(of) else 0.0) for name, of in own.items()}
    return spent / uniform, covered / DAYS


def main() -> None:
    """Prints a line per kind of traffic."""
    sources, strata, scores = read(Path(sys.argv[1]))
    for name, weights in TRAFFIC.items():
        shares = np.array(weights)[sources] / np.bincount(sources)[sources]
        kinds = np.full(len(strata), "all") if weights.count(0.0) == 2 else strata
        share, coverage = simulate(kinds, scores, shares / shares.sum())
        print(f"{name}: {share:.0%} of the uniform sample's calls, intervals hold in {coverage:.1%} of {DAYS} days")


if __name__ == "__main__":
    main()
