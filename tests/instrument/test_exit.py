"""Nothing that ended is lost on the way out: children of multiprocessing, and what a handle says was not delivered."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from ..scripted import Reply, ScriptedServer, scripted_server
from .test_start import CALL, python, spans_at

# Each child makes one span and leaves; on Linux, fork was the default method before Python 3.14.
CHILDREN = """
import multiprocessing, os, sys, time, warnings
from concurrent.futures import ProcessPoolExecutor
import billiard
import evalspan

warnings.filterwarnings("ignore", ".* is multi-threaded, use of fork", DeprecationWarning)
handle = evalspan.init("workers", {address!r})

def work(name):
    with evalspan.span(name):
        pass
    return os.getpid()

def work_and_wait(name, ready):
    work(name)
    ready.set()
    time.sleep(60)

if __name__ == "__main__":
    fork = multiprocessing.get_context("fork")
    with evalspan.span("parent"):
        for method in ("fork", "spawn", "forkserver"):
            process = multiprocessing.get_context(method).Process(target=work, args=(method,))
            process.start()
            process.join()
        with fork.Pool(2, maxtasksperchild=1) as pool:
            pool.map(work, ["pool"] * 3)
            pool.close()
            pool.join()
        with fork.Pool(2) as pool:
            # The block ends its workers with a signal, as most people write it.
            pool.map(work, ["pool left"] * 3)
        with ProcessPoolExecutor(2, mp_context=fork) as executor:
            list(executor.map(work, ["executor"] * 3))
        for method in ("fork", "spawn", "forkserver"):
            context = billiard.get_context(method)
            process = context.Process(target=work, args=(f"billiard {method}",))
            process.start()
            process.join()
            with context.Pool(1) as pool:
                pool.map(work, [f"billiard pool {method}"])
        ready = fork.Event()
        process = fork.Process(target=work_and_wait, args=("terminated", ready), daemon=True)
        process.start()
        ready.wait(60)
        process.terminate()
        process.join(60)
        assert process.exitcode == -15, process.exitcode
"""


@pytest.mark.slow
def test_children_of_multiprocessing_send_their_spans_however_they_leave(
    collector: ScriptedServer, tmp_path: Path
) -> None:
    script = tmp_path / "workers.py"
    script.write_text(CHILDREN.replace("{address!r}", repr(collector.root)))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    found = Counter(name for _, name in spans_at(collector))
    methods = ("fork", "spawn", "forkserver")
    once = ["parent", *methods, "terminated"]
    once += [f"{who} {method}" for who in ("billiard", "billiard pool") for method in methods]
    assert found == {**dict.fromkeys(once, 1), "pool": 3, "pool left": 3, "executor": 3}


def test_an_app_that_handles_sigterm_itself_keeps_its_handler(collector: ScriptedServer) -> None:
    code = f"""
import multiprocessing, signal, sys, time, warnings
import evalspan
warnings.filterwarnings("ignore", ".* is multi-threaded, use of fork", DeprecationWarning)
evalspan.init("x", {collector.root!r})

fork = multiprocessing.get_context("fork")
ready = fork.Event()

def work():
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(7))
    with evalspan.span("child"):
        pass
    ready.set()
    time.sleep(60)

process = fork.Process(target=work)
process.start()
ready.wait(60)
process.terminate()
process.join(60)
print(process.exitcode)
"""
    done = python(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "7\n", "")
    assert spans_at(collector) == [("x", "child")]


def closed_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_spans_that_the_collector_refuses_are_counted(server: ScriptedServer) -> None:
    with scripted_server() as collector:
        collector.then(*[Reply(status=401)] * 20)
        code = f"""
import evalspan, logging
logging.disable(logging.CRITICAL)
handle = evalspan.init("x", {collector.root!r})
for _ in range(3):
    with evalspan.span("s"): pass
    evalspan.score("x", 1, trace_id="ab")
print(handle.flush(), handle.dropped)
with evalspan.span("s"): pass
handle.shutdown()
print(handle.dropped)
"""
        done = python(code)
    assert done.stdout == "False 6\n7\n"


@pytest.mark.slow
@pytest.mark.parametrize("flush", [True, False])
def test_spans_for_a_collector_that_is_away_are_counted_at_the_end(flush: bool) -> None:
    code = f"""
import evalspan, logging
logging.disable(logging.CRITICAL)
handle = evalspan.init("x", {closed_port()!r})
for _ in range(3):
    with evalspan.span("s"): pass
if {flush}:
    print(handle.flush(0.5))
handle.shutdown()
print(handle.dropped)
"""
    assert python(code).stdout.splitlines()[-1] == "3"


@pytest.mark.slow
def test_what_was_delivered_is_not_counted(server: ScriptedServer, collector: ScriptedServer) -> None:
    code = f"import evalspan\nhandle = evalspan.init('x', {collector.root!r})" + CALL.format(url=server.url)
    code += "handle.flush()\nprint(handle.dropped)\nhandle.shutdown()\nprint(handle.dropped)\n"
    assert python(code).stdout == "0\n0\n"
