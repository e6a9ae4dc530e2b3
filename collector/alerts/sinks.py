"""Who is notified of an alert: signed webhooks, chat, on-call services, mail, a command, the log; each waits only for itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import aiohttp
import msgspec

from .config import SinkConfig
from .formats import FORMATS, signature
from .mail import environment_value, mail_of, send_mail
from .notices import summary_line

_log = logging.getLogger("evalspan.alerts")
MAX_QUEUED = 1000
FIRST_PAUSE_S, MAX_PAUSE_S = 1.0, 60.0


class Sink:
    """A sink with its own queue and its own task: a webhook that is down delays only itself."""

    def __init__(self, config: SinkConfig, count: Callable[..., None]) -> None:
        self.config = config
        self._count = count
        self._queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MAX_QUEUED)
        self._pause_s = FIRST_PAUSE_S
        self._loop: asyncio.AbstractEventLoop | None = None

    def enqueue(self, notice: dict[str, Any]) -> None:
        """Puts a notice in the queue, from any thread; when that is full the notice is dropped, counted and logged."""
        if self._loop is not None and not _runs_here(self._loop):
            self._loop.call_soon_threadsafe(self._put, notice)  # a queue of asyncio belongs to its loop
        else:
            self._put(notice)

    def _put(self, notice: dict[str, Any]) -> None:
        try:
            self._queue.put_nowait(notice)
        except asyncio.QueueFull:
            self._count("alert_notices_total", sink=self.config.name, outcome="dropped")
            _log.error("sink %s is too far behind: a notice of %s is dropped", self.config.name, notice["rule"])

    async def run(self) -> None:
        """Delivers until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            notice = await self._queue.get()
            await self.deliver(notice)
            self._queue.task_done()

    async def drain(self, seconds: float) -> None:
        """Waits for the queue to be empty, at most so long."""
        try:
            await asyncio.wait_for(self._queue.join(), seconds)
        except TimeoutError:
            _log.warning("sink %s stops with %d undelivered notices", self.config.name, self._queue.qsize() + 1)

    async def deliver(self, notice: dict[str, Any]) -> bool:
        """Tries up to `tries` times with growing pauses; whether it worked."""
        return not await self.delivery_problem(notice)

    async def delivery_problem(self, notice: dict[str, Any]) -> str:
        """Delivers like `deliver`; why the last try failed, "" when one worked."""
        pause, problem = self._pause_s, ""
        for attempt in range(1, self.config.tries + 1):
            try:
                await asyncio.wait_for(_send(self.config, notice), self.config.timeout_s + 5)
            except Exception as error:  # noqa: BLE001 - whatever a receiver does, the evaluation goes on
                problem = f"{type(error).__name__}: {error}"
                self._count("alert_notices_total", sink=self.config.name, outcome="failed")
                _log.warning("sink %s, attempt %d: %s", self.config.name, attempt, problem)
                if attempt < self.config.tries:
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, MAX_PAUSE_S)
            else:
                self._count("alert_notices_total", sink=self.config.name, outcome="delivered")
                return ""
        return problem


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


async def _send(config: SinkConfig, notice: dict[str, Any]) -> None:
    if config.kind == "email":
        await asyncio.to_thread(send_mail, config, mail_of(config, notice))
    elif config.kind == "command":
        await _command(config, notice)
    elif config.kind == "log":
        _log.warning("%s %s", summary_line(notice), msgspec.json.encode(notice["row"]).decode())
    else:
        await _post(config, notice)


async def _post(config: SinkConfig, notice: dict[str, Any]) -> None:
    url = config.url or environment_value(config.url_env, "the URL")
    message = FORMATS[config.kind](config, url, environment_value(config.secret_env, "the secret"), notice)
    timeout = aiohttp.ClientTimeout(total=config.timeout_s)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(message.url, data=message.body, headers=message.headers) as answer,
    ):
        if answer.status >= 300:
            raise OSError(f"answered {answer.status}")


async def _command(config: SinkConfig, notice: dict[str, Any]) -> None:
    process = await asyncio.create_subprocess_exec(
        *config.command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, complaint = await asyncio.wait_for(process.communicate(msgspec.json.encode(notice)), config.timeout_s)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        raise OSError(f"exit code {process.returncode}: {complaint.decode(errors='replace')[:200]}")


__all__ = ["Sink", "signature"]
