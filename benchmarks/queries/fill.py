"""Fills a store with generated traffic through the public store client; runs under any commit that has one.

python fill.py DIRECTORY ROWS FOLDER-OF-THE-STATEMENTS
"""

import random
import sys
import time
from pathlib import Path

from evalspan.queries import open_store

WORDS = "the order refund policy thirty days return shoes size customer please help price plan invoice cancel account".split()


def main(directory: str, rows: int, statements: Path) -> None:
    """`rows` spans over thirty days and an evaluation for each."""
    began = time.perf_counter()

    def statement(name: str) -> str:
        return "\n".join(line for line in (statements / name).read_text().splitlines() if not line.startswith("--"))

    with open_store(f"chdb://{directory}") as store:
        step = 100_000
        text = " ".join(random.Random(7).choices(WORDS, k=9_000))
        for start in range(0, rows, step):
            given = {"rows": rows, "from": start, "count": min(step, rows - start), "text": text}
            store.command(statement("generate.sql"), given)
            print(f"{start + step:>9} spans {time.perf_counter() - began:6.1f} s", file=sys.stderr)
        store.command(statement("generate_evaluations.sql"))
    print(f"{rows:>9} evaluations {time.perf_counter() - began:6.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
