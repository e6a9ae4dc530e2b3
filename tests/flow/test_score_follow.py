"""`evalspan score --follow` beside a running service: it says what it does, shares by hash, and survives kill -9."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from evalspan.queries.store.client import connect

from ..collector.serving import rows_of, serving, until
from ..collector.traffic import request_of

CHECKS = """
import time
from evalspan.evaluators import Score, evaluator

@evaluator(name="long", version="1", threshold=0.5)
def long(output):
    time.sleep(0.02)
    return Score(1.0)
"""


def following(folder: Path, store: Path, shard: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "evalspan", "score", "--follow", "--suite", "checks:long", "--shard", shard]
    process = subprocess.Popen(
        [*command, "--store", f"chdb://{store}"], cwd=folder, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stderr is not None
    said = process.stderr.readline()
    assert "about 15 s after they are stored" in said
    assert "`evalspan score --since` is for earlier ones" in said
    return process


def count(store: Path) -> int:
    through = connect(f"chdb://{store}")
    try:
        return int(through.query("SELECT count() FROM evaluations").rows[0][0])
    finally:
        through.close()


def test_b32_two_shards_over_the_service_lose_and_double_nothing_when_one_is_killed(tmp_path: Path) -> None:
    (tmp_path / "checks.py").write_text(CHECKS)
    store = tmp_path / "store"
    with serving(store, "--sql-port", "0", settings="[receive]\nflush_ms = 100\n") as collector:
        first, second = following(tmp_path, store, "0/2"), following(tmp_path, store, "1/2")
        for _ in range(2):
            assert collector.post(request_of(300).SerializeToString()).status == 200
        until(lambda: count(store) >= 50)
        first.kill()
        first.wait()
        assert count(store) < 600
        again = following(tmp_path, store, "0/2")
        until(lambda: count(store) == 600)
        time.sleep(1)
        for process in (again, second):
            process.terminate()
            assert process.wait(60) == 0
            assert process.stderr is not None
            assert "scored, 0 unscored so far" in process.stderr.read()
        assert collector.stop() == 0
    ((rows, ids, spans),) = rows_of(
        store, "SELECT count(), uniqExact(evaluation_id), uniqExact(span_id) FROM evaluations"
    )
    assert (rows, ids, spans) == (600, 600, 600)
