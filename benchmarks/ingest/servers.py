"""The servers under load, each started on a fresh directory: how to send to it, how to count what it stored."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server(ABC):
    """A running server; CPU and memory are those of its whole process tree."""

    name = ""

    def __init__(self, directory: Path, python: Path) -> None:
        self.directory, self.python, self.port = directory, python, free_port()
        directory.mkdir(parents=True, exist_ok=True)
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            self.command(),
            stdout=subprocess.DEVNULL,
            stderr=(directory / "stderr.txt").open("w"),
            # Compiled modules are kept, as in any installation.
            env={**{k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}, **self.environment()},
            cwd=directory,
            start_new_session=True,
        )
        self._wait_until_ready()
        self.start_s = time.perf_counter() - self.started

    @abstractmethod
    def command(self) -> list[str]:
        """What starts it."""

    def environment(self) -> dict[str, str]:
        return {}

    headers: ClassVar[dict[str, str]] = {"Content-Type": "application/x-protobuf"}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/traces"

    @abstractmethod
    def stored(self) -> int:
        """Spans in its database now."""

    @abstractmethod
    def has(self, trace_id: str) -> bool:
        """Whether a query finds the trace, given in hexadecimal."""

    def settle(self) -> None:
        """Waits for what the server does after the load, such as merges, at most a minute."""
        time.sleep(2)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise SystemExit(f"{self.name} ended: {(self.directory / 'stderr.txt').read_text()[-2000:]}")
            with contextlib.suppress(OSError):
                request = urllib.request.Request(self.url, data=b"", headers=self.headers)
                try:
                    urllib.request.urlopen(request, timeout=5)
                except urllib.error.HTTPError as answer:
                    if answer.code == 503:
                        continue
                return
            time.sleep(0.05)
        raise SystemExit(f"{self.name} did not answer in 120 s")

    def pids(self) -> list[int]:
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    todo += [int(child) for child in task.read_text().split()]
        return found

    def cpu_s(self) -> float:
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                total += sum(
                    int(field) for field in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:15]
                )
        return total / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
        return total / 1024

    @contextlib.contextmanager
    def watched(self) -> Iterator[list[float]]:
        """Memory in MB, looked at four times a second in the meantime."""
        seen, done = [self.memory_mb()], threading.Event()

        def watch() -> None:
            while not done.wait(0.25):
                seen.append(self.memory_mb())

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield seen
        finally:
            done.set()
            thread.join()

    def disk_bytes(self) -> int:
        return sum(path.stat().st_blocks * 512 for path in self.directory.rglob("*") if path.is_file())

    def stop(self, number: int = signal.SIGTERM) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(90)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


class Evalspan(Server):
    name = "evalspan"

    def __init__(self, directory: Path, python: Path) -> None:
        self.sql_port = free_port()
        super().__init__(directory, python)

    def command(self) -> list[str]:
        store = f"chdb://{self.directory}/store"
        ports = ["--port", str(self.port), "--grpc-port", "-1", "--sql-port", str(self.sql_port)]
        return [str(self.python), "-m", "evalspan", "serve", "--store", store, *ports]

    def stored(self) -> int:
        return self._ask("SELECT count() FROM evalspan.spans")

    def has(self, trace_id: str) -> bool:
        return self._ask(f"SELECT count() FROM evalspan.spans WHERE trace_id = '{trace_id}'") > 0

    def settle(self) -> None:
        parts, since = -1, time.monotonic()
        deadline = since + 60
        while time.monotonic() < min(deadline, since + 5):  # until merges have left the parts alone for so long
            now = self._ask(
                "SELECT sum(cityHash64(name)) % 1000000007 FROM system.parts WHERE active AND table = 'spans'"
            )
            if now != parts:
                parts, since = now, time.monotonic()
            time.sleep(0.5)

    def disk_bytes(self) -> int:
        """Of the rows' files; those that a merge replaced stay for eight more minutes and are not counted."""
        return self._ask("SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'spans'")

    def _ask(self, sql: str) -> int:
        owner = json.loads((self.directory / "store" / "service.json").read_text())
        request = urllib.request.Request(owner["sql"], data=f"{sql} FORMAT TSV".encode())
        request.add_header("X-ClickHouse-User", "evalspan")
        request.add_header("X-ClickHouse-Key", owner["token"])
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.read())


class TailSampling(Evalspan):
    """Whole traces are decided, and one in twenty is kept."""

    def environment(self) -> dict[str, str]:
        (self.directory / "evalspan.toml").write_text('[sampling]\nmode = "tail"\nrate = 0.05\nrules = []\n')
        return {}


class EvalspanOnServer(Evalspan):
    """The service with its rows on a server over HTTP: INGEST_STORE names one, else the tests' writable one in a process of its own.

    CPU and memory are those of the service alone; a restart finds the same server again.
    """

    name = "evalspan, server store"

    def __init__(self, directory: Path, python: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.store, self._server = os.environ.get("INGEST_STORE", ""), None
        if not self.store:
            writable = Path(__file__).parents[2] / "tests" / "queries" / "writable_server.py"
            command = [str(python), str(writable), str(directory / "server")]
            self._server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            assert self._server.stdout
            address = self._server.stdout.readline().strip()
            self.store = f"{address.replace('http://', 'http://writer:pass%20word@')}/evalspan"
        super().__init__(directory, python)

    def command(self) -> list[str]:
        ports = ["--port", str(self.port), "--grpc-port", "-1", "--sql-port", "-1"]
        return [str(self.python), "-m", "evalspan", "serve", "--store", self.store, *ports]

    def environment(self) -> dict[str, str]:
        return {"EVALSPAN_RECEIVE_LOG_PATH": str(self.directory / "log")}

    def stop(self, number: int = signal.SIGTERM) -> None:
        super().stop(number)
        if self._server and self._server.stdin:
            self._server.stdin.close()
            self._server.wait(60)

    def _ask(self, sql: str) -> int:
        parts = urlsplit(self.store)
        request = urllib.request.Request(f"http://{parts.hostname}:{parts.port}/", data=f"{sql} FORMAT TSV".encode())
        request.add_header("X-ClickHouse-User", unquote(parts.username or "default"))
        request.add_header("X-ClickHouse-Key", unquote(parts.password or ""))
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.read())


class Phoenix(Server):
    name = "phoenix"

    def command(self) -> list[str]:
        return [str(self.python), "-m", "phoenix.server.main", "serve"]

    def environment(self) -> dict[str, str]:
        return {
            "PHOENIX_PORT": str(self.port),
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_GRPC_PORT": str(free_port()),
            "PHOENIX_WORKING_DIR": str(self.directory),
            "PHOENIX_TELEMETRY_ENABLED": "false",
        }

    def stored(self) -> int:
        return _sqlite(self.directory / "phoenix.db", "SELECT count(*) FROM spans")

    def has(self, trace_id: str) -> bool:
        return _sqlite(self.directory / "phoenix.db", "SELECT count(*) FROM traces WHERE trace_id = ?", trace_id) > 0


class Mlflow(Server):
    name = "mlflow"
    headers: ClassVar[dict[str, str]] = {"Content-Type": "application/x-protobuf", "x-mlflow-experiment-id": "0"}

    def command(self) -> list[str]:
        database = f"sqlite:///{self.directory}/mlflow.db"
        bind = ["--host", "127.0.0.1", "--port", str(self.port)]
        return [str(self.python), "-m", "mlflow", "server", "--backend-store-uri", database, *bind]

    def environment(self) -> dict[str, str]:
        # Without the first its first export waits for a price list from the internet.
        return {
            "MLFLOW_MODEL_CATALOG_URI": "",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PATH": f"{self.python.parent}:{os.environ['PATH']}",
        }

    def stored(self) -> int:
        return _sqlite(self.directory / "mlflow.db", "SELECT count(*) FROM spans")

    def has(self, trace_id: str) -> bool:
        asked = "SELECT count(*) FROM spans WHERE trace_id = ?"
        return _sqlite(self.directory / "mlflow.db", asked, f"tr-{trace_id}") > 0


def _sqlite(path: Path, sql: str, *values: str) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as database:
        return int(database.execute(sql, values).fetchone()[0])


@contextlib.contextmanager
def running(kind: type[Server], directory: Path, python: Path | None = None) -> Iterator[Server]:
    server = kind(directory, python or Path(sys.executable))
    try:
        yield server
    finally:
        server.stop()
