"""The whole trip of an alert: rows in the store of a running service, a rule, a receiver, the terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

from evalspan.queries.store.client import connect

KEEP = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read() + chr(10))"
SETTINGS = """
[[alerts.rules]]
name = "half fail"
query = "score_trend"
parameters = {{ window_s = 86400 }}
condition = "pass_n >= 20 AND pass_high < 0.9"
by = ["metric"]
every_s = 0.5
message = "{{metric}}: {{pass_rate}} passed"

[[alerts.rules]]
name = "typo"
query = "score_trent"
condition = "1"

[[alerts.sinks]]
name = "file"
kind = "command"
command = {command}

[evaluation]
aggregates_every_s = 1
"""


def until(condition: object, seconds: float = 60) -> bool:
    """Whether it became true in time."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_w04_w06_w08_a_rate_becomes_one_notice_and_a_bad_rule_stops_nothing(tmp_path: Path) -> None:
    told, log, store = tmp_path / "told", tmp_path / "log", tmp_path / "store"
    config = tmp_path / "evalspan.toml"
    config.write_text(SETTINGS.format(command=json.dumps([sys.executable, "-c", KEEP, str(told)])))
    command = [sys.executable, "-m", "evalspan", "serve", "--store", f"chdb://{store}", "--config", str(config)]
    with log.open("wb") as out:
        service = subprocess.Popen(
            [*command, "--port", "0", "--grpc-port", "0", "--sql-port", "0"], stdout=out, stderr=out
        )
    try:
        assert until(lambda: "\nready" in "\n" + log.read_text()), log.read_text()
        assert f"{config}:13: 'typo' is off" in log.read_text()
        now = datetime.now(UTC)
        rows = [
            {
                "evaluation_id": str(uuid.uuid4()),
                "name": "polite",
                "source": "code",
                "trace_id": uuid.uuid4().hex,
                "span_id": uuid.uuid4().hex[:16],
                "passed": "pass" if i % 2 else "fail",
                "span_time": now + timedelta(seconds=10 - i),  # some in windows that are not yet summed up
            }
            for i in range(40)
        ]
        remote = connect(f"chdb://{store}")
        remote.insert("evaluations", rows)
        assert until(told.exists), log.read_text()
        time.sleep(2)  # several looks more
        notices = [json.loads(line) for line in told.read_text().splitlines()]
        assert [(one["rule"], one["state"], one["message"]) for one in notices] == [
            ("half fail", "firing", "polite: 0.5 passed")
        ]
        assert until(lambda: '"evaluation_aggregates"' in log.read_text(), 20), log.read_text()
        line = next(line for line in log.read_text().splitlines() if "evaluation_aggregates" in line)
        window = json.loads(line.removeprefix("scores "))
        assert (window["scores"][0]["metric"], window["scores"][0]["sample_count"]) == ("polite", 1)
        assert notices[0]["traces"][0].startswith("http://127.0.0.1:")
        environment = {**os.environ, "EVALSPAN_STORE": f"chdb://{store}"}
        listed = subprocess.run(
            [sys.executable, "-m", "evalspan", "alert", "list", "--format", "json"],
            env=environment,
            capture_output=True,
            check=False,
        )
        assert listed.returncode == 3, listed.stderr
        trial = subprocess.run(
            [
                sys.executable,
                "-m",
                "evalspan",
                "alert",
                "test",
                "half fail",
                "--as-service",
                "--send",
                "--format",
                "json",
            ],
            env=environment,
            capture_output=True,
            check=False,
        )
        assert (trial.returncode, b"file: delivered" in trial.stderr) == (3, True), trial.stderr
        assert json.loads(trial.stdout)[0]["metric"] == "polite"
        assert json.loads(told.read_text().splitlines()[-1])["state"] == "test"
        nobody = [sys.executable, "-m", "evalspan", "alert", "test", "no such", "--as-service"]
        assert subprocess.run(nobody, env=environment, capture_output=True, check=False).returncode == 2
        states = {row["rule"]: row["state"] for row in json.loads(listed.stdout)}
        assert (states["half fail"], states["typo"], states["quality_degradation"]) == ("firing", "off", "ok")
    finally:
        service.send_signal(signal.SIGTERM)
        assert service.wait(60) == 0
