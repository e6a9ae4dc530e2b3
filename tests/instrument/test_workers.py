"""Workers that leave in ways of their own: Celery's prefork pool and uvicorn's processes send what waits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from ..scripted import ScriptedServer
from .test_gunicorn import free_port, get, names_at

pytestmark = [pytest.mark.timeout(180)]

TASKS = """
import os, pathlib
import celery, evalspan

app = celery.Celery("tasks", broker="filesystem://")
folders = {name: str(pathlib.Path(__file__).parent / name) for name in ("queue", "control")}
for folder in folders.values():
    pathlib.Path(folder).mkdir(exist_ok=True)
options = {"data_folder_in": folders["queue"], "data_folder_out": folders["queue"], "control_folder": folders["control"]}
app.conf.update(broker_transport_options=options, task_ignore_result=True, broker_connection_retry_on_startup=True)
evalspan.init("celery", os.environ["COLLECTOR"])

@app.task
def work(number):
    with evalspan.span(f"task {number}"):
        pass
    (pathlib.Path(__file__).parent / f"done {number}").touch()
"""
WEB = """
import os
import evalspan

evalspan.init("web", os.environ["COLLECTOR"])

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": message["type"] + ".complete"})
        with evalspan.span("shutdown"):
            pass
        await send({"type": "lifespan.shutdown.complete"})
        return
    with evalspan.span(scope["path"]):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""


def environment(collector: ScriptedServer) -> dict[str, str]:
    # Far longer than the test: whatever arrives was sent on the way out.
    return {**os.environ, "COLLECTOR": collector.root, "OTEL_BSP_SCHEDULE_DELAY": "600000", "PYTHONWARNINGS": "ignore"}


@pytest.mark.parametrize("recycled", [True, False])
def test_celerys_prefork_workers_send_their_spans(recycled: bool, collector: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    send = "import tasks\nfor number in range(4): tasks.work.delay(number)"
    subprocess.run([sys.executable, "-c", send], cwd=tmp_path, env=environment(collector), check=True, timeout=60)
    command = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "-P", "prefork", "-c", "2", "--loglevel=ERROR"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    command += ["--max-tasks-per-child=1"] if recycled else []
    worker = subprocess.Popen(
        command, cwd=tmp_path, env=environment(collector), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("done *"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.1)
    worker.send_signal(signal.SIGTERM)
    _, said = worker.communicate(timeout=60)
    assert "Traceback" not in said
    assert names_at(collector) == Counter(f"task {number}" for number in range(4))


@pytest.mark.parametrize("workers", [1, 2])
def test_uvicorns_workers_send_their_spans(workers: int, collector: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "web.py").write_text(WEB)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "web:app", "--port", str(port), "--workers", str(workers)]
    server = subprocess.Popen(
        [*command, "--log-level", "error"], cwd=tmp_path, env=environment(collector), stderr=subprocess.PIPE, text=True
    )
    for number in range(6):
        get(port, f"/{number}")
    server.send_signal(signal.SIGTERM)
    _, said = server.communicate(timeout=60)
    assert "Traceback" not in said
    assert names_at(collector) == Counter({**{f"/{number}": 1 for number in range(6)}, "shutdown": workers})
