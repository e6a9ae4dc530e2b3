"""By how much horizon / alpha is too careful: quantiles of the largest evidence on independent normal windows.

`python -m benchmarks.detection.calibrate` prints, for horizons and sizes of reference, log of that quantile minus
log(horizon / alpha). `evalspan.evaluators.statistics.e_detector.slack` stays above every one of them.
"""

from __future__ import annotations

import numpy as np

from evalspan.evaluators.statistics.e_detector import BETS, STAKES, slack

HORIZONS = (1, 3, 10, 30, 100, 300)
REFERENCES = (2, 7, 28, 1_000_000)
ALPHAS = (0.2, 0.1, 0.05, 0.01)
RUNS = 10_000


def largest_evidence(horizon: int, reference: float, runs: int, rng: np.random.Generator) -> np.ndarray:
    """The logarithm of the largest evidence within `horizon` windows, one for each run."""
    windows = rng.normal(size=(runs, horizon))
    base = rng.normal(size=runs) / reference**0.5
    sums = np.concatenate([np.zeros((runs, 1)), np.cumsum(windows, axis=1)], axis=1)
    largest = np.full(runs, -np.inf)
    for t in range(1, horizon + 1):
        before = np.arange(t)
        pre, post = reference + before, t - before
        difference = (reference * base[:, None] + sums[:, :t]) / pre - (sums[:, [t]] - sums[:, :t]) / post
        size = 1 / np.sqrt(1 / pre + 1 / post)
        z = difference * size
        paid = sum(
            stake * np.exp(np.minimum(bet * size * z - (bet * size) ** 2 / 2, 500)).sum(axis=1)
            for bet, stake in zip(BETS, STAKES, strict=True)
        )
        largest = np.maximum(largest, np.log(paid))
    return largest


def main() -> None:
    """Prints the table."""
    rng = np.random.default_rng(11)
    print(
        "| horizon | reference windows | "
        + " | ".join(f"alpha {alpha:g}" for alpha in ALPHAS)
        + " | minus slack at 0.05 |"
    )
    print("| ---: | ---: |" + " ---: |" * (len(ALPHAS) + 1))
    for horizon in HORIZONS:
        for reference in REFERENCES:
            found = largest_evidence(horizon, reference, RUNS // (1 + horizon // 100), rng)
            cells = [np.quantile(found, 1 - alpha) - np.log(horizon / alpha) for alpha in ALPHAS]
            row = " | ".join(f"{cell:.2f}" for cell in cells)
            print(
                f"| {horizon} | {reference if reference < 1e6 else 'known'} | {row} | {-slack(horizon, 0.05):.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
