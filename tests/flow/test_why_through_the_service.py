"""The brief's story through a running service: spans over HTTP, scored online, an alert whose body says why, as command and page do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.why.story import export

from ..collector.serving import Collector, until

KEEP = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read() + chr(10))"
SETTINGS = """
[receive]
flush_ms = 50
[evaluation]
poll_s = 0.2
[[evaluation.rules]]
name = "answers"
evaluators = ["benchmarks.why.story:persona"]
segment = "evalspan.tag.segment"
quiet_s = 0
backfill_from = 2020-01-01
[alerts]
built_in = false
[[alerts.rules]]
name = "quality_degradation"
query = "e_detector"
parameters = {{ direction = "decrease", window_s = 21600, horizon = 100 }}
condition = "alarm != ''"
by = ["metric"]
severity = "high"
every_s = 3
message = "{{metric}} fell from {{mean_before}} to {{mean_since}}"
[[alerts.sinks]]
name = "file"
kind = "command"
command = {command}
"""
ROOT = Path(__file__).parents[2]


def test_a01_the_alert_the_command_and_the_page_tell_the_same_causes(tmp_path: Path) -> None:
    told = tmp_path / "told"
    settings = SETTINGS.format(command=json.dumps([sys.executable, "-c", KEEP, str(told)]))
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")
    service = Collector(tmp_path / "store", "--sql-port", "0", settings=settings)  # the command asks through that port
    try:
        body = export("prompt mix documents", 7, datetime.now(UTC) - timedelta(minutes=5)).SerializeToString()
        assert service.post(body).status == 200
        until(lambda: told.exists() and told.read_text().endswith("\n"))
        notice: dict[str, Any] = json.loads(told.read_text().splitlines()[0])
        finding = notice["finding"]
        assert {one["kind"] for one in finding["candidates"]} == {"prompt", "segment", "documents"}
        assert "+Wish everybody happy holidays, with ho ho ho!" in finding["prompt_diff"]
        assert len(finding["traces"]) == 3
        assert notice["reasons"] == finding["sentences"]
        environment = {**os.environ, "EVALSPAN_STORE": f"chdb://{tmp_path / 'store'}"}
        command = [sys.executable, "-m", "evalspan", "why", "persona", "--format", "json"]
        said = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=120)
        asked = json.loads(said.stdout)
        assert named(asked) == named(finding)
        alert = notice["link"].rsplit("/", 1)[1]
        page = service.request("GET", f"/alerts/{alert}.json")
        assert page.status == 200
        for one in finding["candidates"]:
            assert json.dumps(one["value"]) in page.body.decode(), one
    finally:
        assert service.stop() == 0


def named(finding: dict[str, Any]) -> list[tuple[str, str]]:
    """The candidates in their order."""
    return [(one["kind"], one["value"]) for one in finding["candidates"]]
