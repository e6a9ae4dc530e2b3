"""A running service with something odd in it: what the odd thing costs, what /readyz says, what replay brings back."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from evalspan.collector.log import framing

from ..collector.serving import JSON, Collector, rows_of, serving, until
from ..collector.traffic import request_of

PARTS = {
    "intake", "log", "inserter", "sampler", "messages", "scores", "online_evaluation", "alerts", "retention", "store",
}  # fmt: skip


def readiness(service: Collector) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {service.owner['token']}"}
    answer = service.request("GET", "/readyz", headers=headers)
    return answer.status, json.loads(answer.body)


def test_readyz_names_every_part_with_state_and_time_and_a_stranger_sees_no_details(tmp_path: Path) -> None:
    with serving(tmp_path / "store", settings='[auth]\nkeys = { "kkkkkkkkkkkkkkkkkkkk" = "p" }') as service:
        status, said = readiness(service)
        assert (status, said["status"]) == (200, "ok")
        assert set(said["parts"]) >= PARTS
        assert all({"state", "since", "restarts", "detail"} <= set(part) for part in said["parts"].values())
        plain = json.loads(service.request("GET", "/readyz").body)
        assert not any("detail" in part for part in plain["parts"].values())
        shutil.rmtree(tmp_path / "store" / "log")
        (tmp_path / "store" / "log").write_text("no folder")
        status, said = readiness(service)
        assert (status, said["status"], said["parts"]["log"]["state"]) == (503, "unavailable", "failed")
        (tmp_path / "store" / "log").unlink()
        until(lambda: readiness(service)[0] == 200)  # nothing was sent: a load balancer sends nothing meanwhile
        assert (tmp_path / "store").stat().st_mode & 0o077 == 0


def test_a_message_event_that_nobody_can_read_holds_up_no_other_and_is_replayed(tmp_path: Path) -> None:
    store = tmp_path / "store"
    folder = store / "log" / "quarantine" / "spans"
    folder.mkdir(parents=True)
    body = request_of(3).SerializeToString()
    (folder / "abc.record").write_bytes(b"".join(framing.frame(body, "replayed", 1)))
    (folder / "abc.reason").write_text("KeyError: 'role'\n")
    trace, span = uuid.uuid4().hex, uuid.uuid4().hex[:16]
    odd = {
        "eventName": "gen_ai.client.inference.operation.details", "traceId": uuid.uuid4().hex, "spanId": span,
        "attributes": [
            {"key": "gen_ai.system_instructions", "value": {"arrayValue": {"values": [{"stringValue": "You are helpful."}]}}}
        ],
    }  # fmt: skip
    good = {"eventName": "gen_ai.user.message", "traceId": trace, "spanId": span, "body": {"stringValue": "behind it"}}
    now = str(time.time_ns())
    owner = {"traceId": trace, "spanId": span, "name": "chat", "startTimeUnixNano": now, "endTimeUnixNano": now}
    with serving(store, "--sql-port", "0") as service:
        for record in (odd, good):
            sent = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()
            assert service.post(sent, JSON, path="/v1/logs").status == 200
        spans = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [owner]}]}]}).encode()
        assert service.post(spans, JSON).status == 200
        command = [sys.executable, "-m", "evalspan"]
        shown = subprocess.run(
            [*command, "status", "--store", f"chdb://{store}"],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert "set aside: 1 of spans of project replayed: KeyError" in shown.stderr, shown.stderr
        done = subprocess.run(
            [*command, "replay", "--store", f"chdb://{store}"],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert (done.returncode, done.stdout) == (0, "1 records of spans are in the log again\n"), done.stderr
        assert not list(folder.iterdir())
        time.sleep(3)
        assert _price_again(command, store, tmp_path) == "no call without a cost has a known price\n"
        assert service.stop() == 0
    assert rows_of(store, "SELECT count() FROM spans WHERE project = 'replayed'") == [[3]]
    (tmp_path / "evalspan.toml").write_text('[[prices]]\nmodel = "test-model"\ninput_usd = 1e-6\n')
    assert _price_again(command, store, tmp_path) == "3 calls are priced\n"
    assert rows_of(store, "SELECT round(sum(cost_usd), 9) FROM spans WHERE project = 'replayed'") == [[3.6e-05]]
    assert "behind it" in rows_of(store, f"SELECT input FROM spans WHERE trace_id = '{trace}'")[0][0]


def _price_again(command: list[str], store: Path, folder: Path) -> str:
    done = subprocess.run(
        [*command, "replay", "--unpriced", "--store", f"chdb://{store}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    return done.stdout


def test_a_damaged_side_table_costs_its_feature_and_not_the_service(tmp_path: Path) -> None:
    store = tmp_path / "store"
    rule = '[[alerts.rules]]\nname = "r"\nquery = "usage_trend"\nmetric = "latency"\ncondition = "mean > 1"\n'
    with serving(store, settings=rule) as service:
        assert service.stop() == 0
    damaged = 0
    for data in store.glob("store/*/*/*/data.bin"):
        columns = (data.parent / "columns.txt").read_text() if (data.parent / "columns.txt").exists() else ""
        if "silenced_until" in columns or "position_key" in columns:
            content = bytearray(data.read_bytes())
            content[len(content) // 2] ^= 0xFF
            data.write_bytes(bytes(content))
            damaged += 1
    assert damaged
    with serving(store, settings=rule) as service:
        assert service.post(request_of(2).SerializeToString()).status == 200
        until(lambda: readiness(service)[1]["log_backlog_bytes"] == 0)
        assert readiness(service)[0] == 200
