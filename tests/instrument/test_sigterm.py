"""A plain SIGTERM, which no handler of the app's catches: what waits is sent, then the signal ends the process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from ..scripted import ScriptedServer
from .test_gunicorn import names_at

START = """
import os, signal, sys, threading, time
import evalspan
handle = evalspan.init("ended", {address!r})
with evalspan.span("work"):
    pass
"""
# What the main thread is at when the signal comes.
STATES = {
    "sleeps": "print('ready', flush=True); time.sleep(60)",
    "waits for a lock": "print('ready', flush=True); threading.Event().wait(60)",
    "computes": "print('ready', flush=True)\nwhile True: pass",
    "runs an event loop": "import asyncio\nprint('ready', flush=True)\nasyncio.run(asyncio.sleep(60))",
    # As when the signal comes in the middle of a span that ends.
    "holds the lock of the queue": (
        "handle._processor._batches._worker_awaken._cond.acquire(); print('ready', flush=True); time.sleep(60)"
    ),
}


def start(code: str, collector: str) -> subprocess.Popen[str]:
    program = START.replace("{address!r}", repr(collector)) + code
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
@pytest.mark.parametrize("state", STATES)
def test_a_process_that_sigterm_ends_sends_its_spans_and_ends_by_the_signal(state: str, collector: ScriptedServer):
    process = start(STATES[state], collector.root)
    sent = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
    assert said == ""
    assert time.monotonic() - sent < 10
    if state != "holds the lock of the queue":
        assert dict(names_at(collector)) == {"work": 1}


@pytest.mark.slow
def test_a_collector_that_hangs_delays_the_end_by_a_bounded_time(collector: ScriptedServer):
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        process = start(STATES["sleeps"], f"http://127.0.0.1:{silent.getsockname()[1]}")
        sent = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGTERM
        assert time.monotonic() - sent < 10


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_handler_of_the_apps_stays_the_only_one(when: str, collector: ScriptedServer):
    handler = "signal.signal(signal.SIGTERM, lambda number, frame: os._exit(9))\n"
    code = "import os, signal\n" + handler if when == "before" else ""
    program = code + START.replace("{address!r}", repr(collector.root)) + (handler if when == "after" else "")
    program += "os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (9, "")


def test_uninstrument_gives_the_signal_back():
    code = (
        "import evalspan, signal\n"
        "evalspan.init('x', 'http://127.0.0.1:9'); print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)\n"
        "evalspan.uninstrument(); print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\nTrue\n"
