"""Runs `evalspan serve` for the demo as users run it: as a process of its own, spoken to over OTLP and HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...errors import CollectorUnreachable

_STARTS_WITHIN_S = 90
_STOPS_WITHIN_S = 30


@contextmanager
def serving(folder: Path, config: Path, python: str = sys.executable) -> Iterator[str]:
    """The collector on free local ports with its embedded store in `folder`, for as long as the block runs.

    `python` is the interpreter that runs it: another one for another commit.

    Yields:
        Its URL, which takes OTLP and shows the dashboard.

    Raises:
        CollectorUnreachable: it did not come up; the message names its log.
    """
    log = folder / "serve.log"
    store = (folder / "store").resolve()
    command = [python, "-m", "evalspan", "serve", "--store", f"chdb://{store}", "--config", str(config)]
    command += ["--port", "0", "--grpc-port", "0", "--sql-port", "0"]
    with log.open("ab") as out:
        # A session of its own: Ctrl-C reaches us first, and we let it drain.
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)  # noqa: S603 - our own
        try:
            yield _wait_until_ready(process, store / "service.json", log)
        finally:
            _stop(process)


def evalspan_command(*arguments: str, folder: Path, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Runs an `evalspan` command against the demo's store; its exit code and what it printed."""
    variables = {
        **os.environ,
        "EVALSPAN_STORE": f"chdb://{(folder / 'store').resolve()}",
        "COLUMNS": "110",
        "NO_COLOR": "1",
        **(environment or {}),
    }
    finished = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "evalspan", *arguments],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return finished.returncode, finished.stdout


def _wait_until_ready(process: subprocess.Popen[bytes], contact: Path, log: Path) -> str:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            found = json.loads(contact.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = {}
        # An older run that was killed may have left its own file behind.
        if found.get("pid") == process.pid:
            return str(found["http"])
        time.sleep(0.1)
    tail = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
    raise CollectorUnreachable(
        "`evalspan serve` did not come up: " + " / ".join(tail), hint=f"The whole log is in {log}."
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOPS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
