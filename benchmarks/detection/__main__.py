"""Asks the query e_detector through a store: false alarms by kind of score, power and delay beside a calibrated CUSUM.

`python -m benchmarks.detection [--applications 300] [--windows 30,100] [--kinds NAME,NAME]` prints two markdown tables. So many
windows are watched for false alarms, 30 for power, where scores fall at the sixth.
"""

from __future__ import annotations

import argparse
import tempfile
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from evalspan.queries import catalog
from evalspan.queries.store.client import Store, open_store

WATCHED, FALL_AT = 30, 5
UNTIL = datetime(2026, 6, 15, tzinfo=UTC)
DRAWS = {
    "normal": lambda rng, size: rng.normal(size=size),
    "lognormal": lambda rng, size: rng.lognormal(0, 1, size),
    "- lognormal": lambda rng, size: -rng.lognormal(0, 1, size),
    "ordinal": lambda rng, size: rng.choice([1.0, 2, 3, 4, 5], size=size, p=[0.03, 0.06, 0.18, 0.42, 0.31]),
    "90 % fives": lambda rng, size: rng.choice([1.0, 2, 3, 4, 5], size=size, p=[0.01, 0.01, 0.02, 0.06, 0.9]),
    "95 % pass": lambda rng, size: (rng.random(size) < 0.95) * 1.0,
    "99 % pass": lambda rng, size: (rng.random(size) < 0.99) * 1.0,
    "2 % pass": lambda rng, size: (rng.random(size) < 0.02) * 1.0,
    "constant": lambda _, size: np.ones(size),
}


def first_alarms(store: Store, scores: np.ndarray, reference: int, n: int) -> np.ndarray:
    """The number of the first alarming window of each application, 0 for none; scores are (applications, windows, n)."""
    project = uuid.uuid4().hex
    windows = scores.shape[1]
    watched = windows - reference
    begin = UNTIL - timedelta(days=windows)
    for number, application in enumerate(scores):
        rows: list[dict[str, Any]] = [
            {
                "project": project,
                "evaluation_id": str(uuid.uuid4()),
                "name": f"m{number:04d}",
                "evaluator_version": "1",
                "source": "code",
                "trace_id": f"{number:04d}{window:04d}{i:04d}",
                "score": float(score),
                "span_time": begin + timedelta(days=window, seconds=86000 * (i + 0.5) / n),
            }
            for window, values in enumerate(application)
            for i, score in enumerate(values)
        ]
        store.insert("evaluations", rows)
    period = {"since_s": watched * 86400, "baseline_s": reference * 86400, "window_s": 86400, "season": 0}
    found = catalog.get("e_detector").run(
        store, timeout_s=600, project=project, until=UNTIL.isoformat(), direction="decrease", horizon=watched, **period
    )
    alarms = np.zeros(len(scores), dtype=int)
    for row in found.dicts():
        number = int(row["metric"][1:])
        if row["alarm"] and not alarms[number]:
            alarms[number] = row["position"]
    return alarms


def cusum_alarms(scores: np.ndarray, reference: int, decision: float) -> np.ndarray:
    """The same for a one-sided CUSUM (allowance half a standard error) on the same reference."""
    base = scores[:, :reference].reshape(len(scores), -1)
    spread = base.std(axis=1, ddof=1, keepdims=True) / scores.shape[2] ** 0.5
    z = (base.mean(axis=1, keepdims=True) - scores[:, reference:].mean(axis=2)) / np.maximum(spread, 1e-9)
    sums, largest = np.zeros(len(scores)), []
    for window in range(WATCHED):
        sums = np.maximum(0, sums + z[:, window] - 0.5)
        largest.append(sums)
    over = decision < np.array(largest).T
    return np.where(over.any(axis=1), over.argmax(axis=1) + 1, 0)


def decision_for(reference: int, n: int, rng: np.random.Generator) -> float:
    """The CUSUM's threshold with 5 % false alarms within the watched windows, by simulation."""
    scores = rng.normal(size=(4000, reference + WATCHED, n))
    low, high = 1.0, 40.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if (cusum_alarms(scores, reference, middle) > 0).mean() > 0.05 else (low, middle)
    return high


def found_after(alarms: np.ndarray) -> str:
    """The share that was found after the fall, and the median number of windows it took."""
    late = alarms[alarms > FALL_AT]
    return f"{len(late) / len(alarms):.2f}, {np.median(late - FALL_AT):.0f}" if len(late) else "0.00, -"


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--applications", type=int, default=300)
    parser.add_argument("--windows", default="30")
    parser.add_argument("--kinds", default=",".join(DRAWS))
    asked = parser.parse_args()
    count, rng, kinds = asked.applications, np.random.default_rng(5), asked.kinds.split(",")
    with tempfile.TemporaryDirectory() as folder, open_store(f"chdb://{folder}/store") as store:
        print("| windows, reference, scores a window | " + " | ".join(kinds) + " |\n| --- |" + " ---: |" * len(kinds))
        for watched in map(int, asked.windows.split(",")):
            for reference, n in ((2, 20), (7, 5), (7, 20), (28, 20)):
                shares = [
                    (first_alarms(store, DRAWS[kind](rng, (count, reference + watched, n)), reference, n) > 0).mean()
                    for kind in kinds
                ]
                told = " | ".join(f"{share:.3f}" for share in shares)
                print(f"| {watched}, {reference}, {n} | {told} |", flush=True)
        print("\n| reference | fall | CUSUM: found, median windows | e-detector: found, median windows |")
        print("| --- | --- | --- | --- |")
        for reference in (7, 28):
            decision = decision_for(reference, 20, rng)
            for fall in (0.25, 0.4):
                scores = rng.normal(size=(count, reference + WATCHED, 20))
                scores[:, reference + FALL_AT :] -= fall
                ours, other = first_alarms(store, scores, reference, 20), cusum_alarms(scores, reference, decision)
                print(f"| {reference} windows | {fall} sd | {found_after(other)} | {found_after(ours)} |", flush=True)


if __name__ == "__main__":
    main()
