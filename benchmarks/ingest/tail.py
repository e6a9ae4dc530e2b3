"""Tail sampling under load: spans offered a second when one trace in twenty is kept, what they cost, and what is held."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from .cells import load, table, wait_for
from .servers import TailSampling, running

PER_TRACE = 20
CELLS = ((500, 4, 1000), (500, 4, 3150))  # spans a body, connections, bytes a span


def offered(seconds: float) -> list[dict]:
    """One row a size of spans."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="ingest-tail-") as name:
        for count, connections, span_bytes in CELLS:
            with running(TailSampling, Path(name) / str(span_bytes)) as server:
                load(server, 100, 1, 60, 300)  # what is done once in a server's life is in no figure
                time.sleep(5)
                before, cpu = server.stored(), server.cpu_s()
                with server.watched() as memory:
                    sent = load(server, count, connections, seconds, 0, 0, PER_TRACE, span_bytes)
                    wait_for(server, before + int(0.04 * sent["accepted"]), 60)
                    time.sleep(5)
                kept = server.stored() - before
                rows.append(
                    {
                        "bytes a span": span_bytes,
                        "offered/s": sent["accepted"] / sent["seconds"],
                        "kept": f"{100 * kept / sent['accepted']:.1f} %",
                        "CPU-s per 1,000 offered": 1000 * (server.cpu_s() - cpu) / sent["accepted"],
                        "peak memory MB": max(memory),
                        "p99 ack ms": sent["p99_ms"],
                        "answers": ", ".join(f"{times} x {status}" for status, times in sent["answers"].items()),
                    }
                )
                print(table(rows[-1:]), file=sys.stderr)
    return rows
