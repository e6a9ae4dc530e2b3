"""`evalspan serve` in which every supervised part raises at its first start, and which says what threads and tasks it has."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from evalspan.queries.host.supervision import Supervisor

TASKS_FILE = "tasks.txt"
"""In the directory that the service runs in: what runs in it, a line each, written every quarter of a second."""
_keep, _keep_thread = Supervisor.keep_running, Supervisor.keep_running_thread


class Injected(Exception):
    """What no part expects."""


def _first_fails(part: str) -> Callable[[], None]:
    failed = False

    def fail() -> None:
        nonlocal failed
        if not failed:
            failed = True
            raise Injected(f"the first start of {part}")

    return fail


async def _keep_running(self: Supervisor, part: str, run: Callable[[], Awaitable[None]]) -> None:
    fail = _first_fails(part)

    async def failing() -> None:
        fail()
        await run()

    await _keep(self, part, failing)


def _keep_running_thread(self: Supervisor, part: str, run: Callable[[], None], stop: threading.Event) -> None:
    fail = _first_fails(part)

    def failing() -> None:
        fail()
        run()

    _keep_thread(self, part, failing, stop)


def _where(task: asyncio.Task[object]) -> str:
    """The coroutines that a task is in, the outermost first."""
    names: list[str] = []
    inner: Any = task.get_coro()
    while inner is not None:
        names.append(getattr(inner, "__qualname__", type(inner).__name__))
        inner = getattr(inner, "cr_await", None)
    return " > ".join(names)


def _write(lines: list[str]) -> None:
    draft = Path(f"{TASKS_FILE}.new")
    draft.write_text("\n".join(lines))
    draft.replace(TASKS_FILE)


async def _watch(_: web.Application) -> None:
    async def look() -> None:
        while True:
            tasks = [f"task {_where(task)}" for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            threads = [f"thread {thread.name}" for thread in threading.enumerate()]
            _write(sorted(tasks + threads))
            await asyncio.sleep(0.25)

    asyncio.get_running_loop().create_task(look(), name="the test's own")


def _serve() -> None:
    Supervisor.keep_running = _keep_running  # type: ignore[method-assign]
    Supervisor.keep_running_thread = _keep_running_thread  # type: ignore[method-assign]
    from evalspan.__main__ import main
    from evalspan.collector.service import Service

    made = Service._application

    def application(self: Service) -> web.Application:
        app = made(self)
        app.on_startup.append(_watch)
        return app

    Service._application = application  # type: ignore[method-assign]
    sys.argv = ["evalspan", "serve", *sys.argv[1:]]
    try:
        main()
    except Exception:
        traceback.print_exc()
        raise


if __name__ == "__main__":
    _serve()
