"""`evalspan run` in front of the programs that Python apps are served by: each is run for real, its code untouched."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from ..scripted import ScriptedServer
from .test_gunicorn import free_port, get, names_at

BIN = Path(sys.executable).parent
WORK = "import evalspan\nwith evalspan.span('work'):\n    pass\n"
WSGI = """
import evalspan

def app(environ, start_response):
    with evalspan.span(environ["PATH_INFO"]):
        pass
    start_response("200 OK", [])
    return [b"1"]
"""
TASKS = """
import pathlib
import celery, evalspan

app = celery.Celery("tasks", broker="filesystem://")
here = pathlib.Path(__file__).parent
folders = {name: str(here / name) for name in ("queue", "control")}
for folder in folders.values():
    pathlib.Path(folder).mkdir(exist_ok=True)
app.conf.update(
    broker_transport_options={
        "data_folder_in": folders["queue"], "data_folder_out": folders["queue"], "control_folder": folders["control"]
    },
    task_ignore_result=True, broker_connection_retry_on_startup=True,
)

@app.task
def work(number):
    with evalspan.span(f"task {number}"):
        pass
    (here / f"done {number}").touch()
"""


def variables(collector: ScriptedServer) -> dict[str, str]:
    # Far longer than the test: whatever arrives was sent on the way out.
    return {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.root,
        "OTEL_BSP_SCHEDULE_DELAY": "600000",
        "PYTHONWARNINGS": "ignore",
    }


def started(collector: ScriptedServer, folder: Path, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(BIN / "evalspan"), "run", *command],
        cwd=folder,
        env=variables(collector),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGTERM)
    return process.communicate(timeout=60)[1]


@pytest.mark.slow
def test_gunicorn(collector: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(WSGI)
    port = free_port()
    server = started(collector, tmp_path, "gunicorn", "shop:app", "-w", "2", "-b", f"127.0.0.1:{port}")
    for number in range(4):
        get(port, f"/{number}")
    assert "Traceback" not in ended(server)
    assert names_at(collector) == Counter(f"/{number}" for number in range(4))


@pytest.mark.slow
def test_celery(collector: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    send = "import tasks\nfor number in range(2): tasks.work.delay(number)"
    subprocess.run([sys.executable, "-c", send], cwd=tmp_path, env=variables(collector), check=True, timeout=60)
    command = ["celery", "-A", "tasks", "worker", "-c", "2", "--loglevel=ERROR", "--without-gossip", "--without-mingle"]
    worker = started(collector, tmp_path, *command, "--without-heartbeat")
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("done *"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "Traceback" not in ended(worker)
    assert names_at(collector) == Counter(f"task {number}" for number in range(2))


@pytest.mark.slow
def test_streamlit(collector: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "page.py").write_text(f"import streamlit\n{WORK}streamlit.write('done')\n")
    port = free_port()
    options = ["--server.headless", "true", "--server.port", str(port), "--browser.gatherUsageStats", "false"]
    server = started(collector, tmp_path, "streamlit", "run", "page.py", *options, "--server.fileWatcherType", "none")
    asyncio.run(open_page(port))
    assert "Traceback" not in ended(server)
    assert names_at(collector) == {"work": 1}


async def open_page(port: int) -> None:
    """What a browser does: the script runs when a session asks for it; waits until it is done."""
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

    ask = BackMsg()
    ask.rerun_script.query_string = ""
    address = f"http://127.0.0.1:{port}/_stcore/stream"
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        while True:
            try:
                page = await session.ws_connect(address, protocols=("streamlit",))
                break
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)
        await page.send_bytes(ask.SerializeToString())
        async for message in page:
            if ForwardMsg.FromString(message.data).WhichOneof("type") == "script_finished":
                return


@pytest.mark.slow
def test_jupyter(collector: ScriptedServer, tmp_path: Path) -> None:
    cell: dict[str, object] = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        "source": WORK,
    }
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python", "language": "python"}}
    book = {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": [cell]}
    (tmp_path / "book.ipynb").write_text(json.dumps(book))
    process = started(collector, tmp_path, "jupyter", "execute", "book.ipynb")
    _, said = process.communicate(timeout=100)
    assert process.returncode == 0, said
    assert names_at(collector) == {"work": 1}
