"""Times `evalspan gate` as a process over 200 examples and a target that takes 200 ms: uncached, cached, and its start.

To reach: 5 s uncached with concurrency 20 (2 s are the target's own), 3 s cached, 1 s to start. Exits 1 when missed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from evalspan.evaluators.datasets import Dataset, Example

APP = """
import time
from evalspan.evaluators import Constraints, evaluator, token_f1

def answer(input):
    time.sleep(0.2)
    return f"answer {input['n']}"

@evaluator(name="right", version="1")
def right(output, input):
    return output.endswith(str(input["n"]))

suite = [Constraints(name="style").add("short", lambda output: len(output) < 200), right, token_f1]
"""


def timed(folder: Path, *arguments: str) -> float:
    environment = {**os.environ, "EVALSPAN_CACHE_DIR": str(folder / "cache")}
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "evalspan", "gate", *arguments],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - started


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "app.py").write_text(APP)
        examples = [
            Example(
                id=f"r{n}",
                partition="regression",
                input={"n": n},
                expected_output=f"answer {n}",
                metadata={"root_cause": "x"},
            )
            for n in range(200)
        ]
        Dataset("d", examples=examples).save(folder / "d.jsonl")
        run = [
            "--dataset",
            "d.jsonl",
            "--target",
            "app:answer",
            "--suite",
            "app:suite",
            "--concurrency",
            "20",
            "--report",
        ]
        found = {
            "start (--help)": (timed(folder, "--help"), 1.0),
            "200 uncached, 200 ms each, 20 at once": (timed(folder, *run, "first.json"), 5.0),
            "200 cached": (timed(folder, *run, "second.json"), 3.0),
        }
        same = (folder / "first.json").read_bytes() == (folder / "second.json").read_bytes()
    for what, (seconds, reach) in found.items():
        print(f"{what:<40} {seconds:6.2f} s   to reach {reach:g} s")
    print(f"the second report is {'the same' if same else 'ANOTHER'}")
    return int(not same or any(seconds > reach for seconds, reach in found.values()))


sys.exit(main())
