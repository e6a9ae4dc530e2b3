"""Tells stories of a shop to a store and counts how often `evalspan why` names the true causes first.

`python -m benchmarks.why [--seeds 100]` prints a markdown table. Calls go in as OTLP, the online engine scores them, and
the explanation is asked for as the command asks: all of it in one process.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time

from evalspan.queries.store.client import open_store

from .story import CAUSES, ask, right, tell

A_STORE = 10


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100)
    seeds = parser.parse_args().seeds
    print("| what happened | true causes first | of | CPU s a story |\n| --- | ---: | ---: | ---: |")
    for story in CAUSES:
        begun, correct = time.process_time(), 0
        for first in range(0, seeds, A_STORE):
            print(f"{story}: {correct} of {first}", file=sys.stderr, flush=True)
            # A store of its own for every ten, so that the last is as quick as the first.
            with tempfile.TemporaryDirectory() as folder, open_store(f"chdb://{folder}/store") as store:
                for seed in range(first, min(first + A_STORE, seeds)):
                    tell(store, f"story-{seed}", story, seed)
                    found = ask(store, f"story-{seed}")
                    correct += right(story, found)
                    if not right(story, found):
                        print(story, seed, [(one.kind, one.value, one.p) for one in found.candidates], file=sys.stderr)
        spent = (time.process_time() - begun) / seeds
        print(f"| {story} | {correct} | {seeds} | {spent:.1f} |", flush=True)


if __name__ == "__main__":
    main()
