"""`evalspan serve` as users run it, in a process of its own, for tests that kill it and count what is left."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

PROTOBUF, JSON = "application/x-protobuf", "application/json"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Collector:
    """One `evalspan serve` on free ports over the store at `path`."""

    def __init__(
        self,
        path: Path,
        *flags: str,
        settings: str = "",
        prefix: tuple[str, ...] = (),
        program: tuple[str, ...] = ("-m", "evalspan", "serve"),
    ) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        configuration = path.parent / f"{path.name}.toml"
        configuration.write_text(settings)
        command = [sys.executable, *program, "--store", f"chdb://{path}", "--port", "0"]
        command += ["--grpc-port", "-1", "--sql-port", "-1", "--config", str(configuration), *flags]
        self.process = subprocess.Popen(
            [*prefix, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=path.parent
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.said: list[str] = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        if self.process.stdout.readline() != "ready\n":
            self.process.wait(30)
            self._listener.join(5)
            raise AssertionError(f"serve exited with {self.process.returncode}: {''.join(self.said)}")
        self.owner = json.loads((path / "service.json").read_text())
        self.address = urlsplit(self.owner["http"]).netloc

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)

    def request(self, method: str, path: str, body=None, headers=None, timeout=30.0) -> Answer:
        connection = http.client.HTTPConnection(self.address, timeout=timeout)
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.headers), answer.read())

    def post(self, body: bytes, content_type: str = PROTOBUF, path: str = "/v1/traces", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", path, body, {"Content-Type": content_type, **named})

    @property
    def grpc_address(self) -> str:
        """Host and port of gRPC, wherever among the lines on stderr the service says it: a library may speak first."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            if found := re.search(r"gRPC at http://([^,\s]+)", "".join(self.said)):
                return found[1]
            time.sleep(0.02)
        raise AssertionError(f"no word of gRPC: {''.join(self.said)}")

    def metrics(self, key: str = "") -> dict[str, float]:
        """What a project's key sees; without one all of an open service."""
        text = self.request("GET", "/metrics", headers={"Authorization": f"Bearer {key}"} if key else {}).body.decode()
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name.removeprefix("evalspan_"): float(value) for name, value in pairs}

    def resident_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def virtual_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[0])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self._listener.join(5)
        return code


def until(true: Callable[[], object], seconds: float = 120, pause_s: float = 0.1) -> None:
    """Waits for something that another process does."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"it did not come to pass within {seconds} s"
        time.sleep(pause_s)


async def soon(true: Callable[[], object], seconds: float = 60) -> None:
    """Waits for something that another task or thread of this process does."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"it did not come to pass within {seconds} s"
        await asyncio.sleep(0.005)


@contextlib.contextmanager
def serving(path: Path, *flags: str, **how: Any) -> Iterator[Collector]:
    """A collector that is gone afterwards, however the test ends; `how` is what `Collector` takes."""
    collector = Collector(path, *flags, **how)
    try:
        yield collector
    finally:
        if collector.process.poll() is None:
            collector.kill()


def rows_of(path: Path, sql: str) -> list[list[Any]]:
    """The answer of the embedded store at `path`, asked in a process of its own: chDB opens one path a process."""
    return answers_of(path, sql)[0]


def answers_of(path: Path, *statements: str) -> list[list[list[Any]]]:
    """The rows of each statement, all asked in one process."""
    program = (
        "import json, sys; from evalspan.queries.store.client import open_store\n"
        "with open_store('chdb://' + sys.argv[1]) as store:\n"
        "    answers = [[list(row) for row in store.query(sql).rows] for sql in sys.argv[2:]]\n"
        "    print(json.dumps(answers, default=str))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), *statements],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    answers: list[list[list[Any]]] = json.loads(done.stdout)
    return answers
