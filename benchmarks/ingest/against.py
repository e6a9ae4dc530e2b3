"""This checkout against another one in one run: machines and their load differ, what both paid in turn can be compared."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median

from .cells import Bounds, measure, table
from .servers import Evalspan

COMPARED = ("CPU-s per 1,000 stored", "peak memory MB", "disk bytes per span", "accepted/s")


def against(other: Path, cells: list[tuple[int, ...]], seconds: float, rounds: int) -> list[dict]:
    """One row a cell: the median of `rounds`, in which both take turns, of ours, of theirs, and of ours by theirs."""
    python = other.absolute() / ".venv" / "bin" / "python"
    if not python.exists():
        raise SystemExit(f"{python} is not there: --against wants a checkout with its own environment")
    compared = []
    with tempfile.TemporaryDirectory(prefix="ingest-against-") as name:
        for count, connections in cells:
            turns: list[tuple[dict, dict]] = []
            for number in range(rounds):
                place = Path(name) / f"{count}x{connections}-{number}"
                bounds = Bounds(seconds, 0, 120)
                both = [
                    measure(Evalspan, place / side, each, (count, connections), bounds)
                    for side, each in (("ours", Path(sys.executable)), ("theirs", python))
                ]
                turns.append((both[0], both[1]))
                print(table(both), file=sys.stderr)
            row: dict[str, object] = {"body": turns[0][0]["body"]}
            for column in COMPARED:
                row[f"{column}, here"] = median(ours[column] for ours, _ in turns)
                row[f"{column}, there"] = median(theirs[column] for _, theirs in turns)
                row[f"{column}, ratio"] = median(ours[column] / theirs[column] for ours, theirs in turns)
            compared.append(row)
    return compared
