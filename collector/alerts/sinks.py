"""Who is told of an alert: signed webhooks, Slack-compatible ones, mail, a command, the log; each waits only for itself."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import os
import smtplib
import ssl
import time
from collections.abc import Callable
from email.message import EmailMessage
from functools import partial
from typing import Any

import aiohttp
import msgspec

from ...errors import ConfigError
from ...queries.host.auth import is_loopback
from .config import SinkConfig

_log = logging.getLogger("evalspan.alerts")
WAITING = 1000
SMTPS = "465"
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0


class Sink:
    """A sink with its own queue and its own task: a webhook that is down delays only itself."""

    def __init__(self, config: SinkConfig, count: Callable[..., None]) -> None:
        self.config = config
        self._count = count
        self._waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue(WAITING)
        self._pause_s = FIRST_PAUSE_S

    def tell(self, notice: dict[str, Any]) -> None:
        """Puts a notice in the queue; when that is full the notice is dropped, counted and logged."""
        try:
            self._waiting.put_nowait(notice)
        except asyncio.QueueFull:
            self._count("alert_notices_total", sink=self.config.name, outcome="dropped")
            _log.error("sink %s is too far behind: a notice of %s is dropped", self.config.name, notice["rule"])

    async def run(self) -> None:
        """Delivers until cancelled."""
        while True:
            notice = await self._waiting.get()
            await self.deliver(notice)
            self._waiting.task_done()

    async def drain(self, seconds: float) -> None:
        """Waits for the queue to be empty, at most so long."""
        try:
            await asyncio.wait_for(self._waiting.join(), seconds)
        except TimeoutError:
            _log.warning("sink %s stops with %d undelivered notices", self.config.name, self._waiting.qsize() + 1)

    async def deliver(self, notice: dict[str, Any]) -> bool:
        """Tries up to `tries` times with growing pauses; whether it worked."""
        pause = self._pause_s
        for attempt in range(1, self.config.tries + 1):
            try:
                await asyncio.wait_for(_SENDERS[self.config.kind](self.config, notice), self.config.timeout_s + 5)
            except Exception as error:  # noqa: BLE001 - whatever a receiver does, the watcher goes on
                self._count("alert_notices_total", sink=self.config.name, outcome="failed")
                _log.warning("sink %s, attempt %d: %s: %s", self.config.name, attempt, type(error).__name__, error)
                if attempt < self.config.tries:
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE_S)
            else:
                self._count("alert_notices_total", sink=self.config.name, outcome="delivered")
                return True
        return False


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What the header X-Evalspan-Signature holds: HMAC-SHA256 over "<timestamp>.<body>", in hex."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def sentence(notice: dict[str, Any]) -> str:
    """The notice in one line."""
    return f"[{notice['severity']}] {notice['state']}: {notice['name']}: {notice['message']}"


def _variable(name: str, what: str) -> str:
    value = os.environ.get(name, "")
    if name and not value:
        raise ConfigError(f"the variable {name} ({what}) is not set")
    return value


async def _webhook(config: SinkConfig, notice: dict[str, Any]) -> None:
    body = msgspec.json.encode(notice)
    headers = {"Content-Type": "application/json"}
    if config.secret_env:
        stamp = str(int(time.time()))
        headers["X-Evalspan-Timestamp"] = stamp
        headers["X-Evalspan-Signature"] = signature(_variable(config.secret_env, "the secret"), stamp, body)
    await _post(config, body, headers)


async def _slack(config: SinkConfig, notice: dict[str, Any]) -> None:
    links = "".join(f"\n{link}" for link in notice["traces"])
    body = msgspec.json.encode({"text": sentence(notice) + links})
    await _post(config, body, {"Content-Type": "application/json"})


async def _post(config: SinkConfig, body: bytes, headers: dict[str, str]) -> None:
    url = config.url or _variable(config.url_env, "the URL")
    timeout = aiohttp.ClientTimeout(total=config.timeout_s)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(url, data=body, headers=headers) as answer,
    ):
        if answer.status >= 300:
            raise OSError(f"answered {answer.status}")


async def _email(config: SinkConfig, notice: dict[str, Any]) -> None:
    mail = EmailMessage()
    # The name holds values of spans, and a header takes no line break.
    mail["Subject"] = " ".join(f"evalspan {notice['state']}: {notice['name']}".split())
    mail["From"], mail["To"] = config.sender, ", ".join(config.to)
    mail.set_content(sentence(notice) + "\n\n" + msgspec.json.format(msgspec.json.encode(notice), indent=2).decode())
    await asyncio.to_thread(_send_mail, config, mail)


def _send_mail(config: SinkConfig, mail: EmailMessage) -> None:
    host, _, port = config.smtp.partition(":")
    # Whoever is given a password proves who it is; a relay that asks for none may have made its certificate itself.
    trusted = ssl.create_default_context() if config.username else None
    connect: Callable[..., smtplib.SMTP] = partial(smtplib.SMTP_SSL, context=trusted) if port == SMTPS else smtplib.SMTP
    with connect(host, int(port or 25), timeout=config.timeout_s) as server:
        server.ehlo()
        encrypted = port == SMTPS
        if not encrypted and server.has_extn("starttls"):
            server.starttls(context=trusted)
            encrypted = True
        if config.username:
            if not encrypted and not is_loopback(host):
                raise OSError(f"{host} offers no TLS, and the password is not sent in the clear")
            server.login(config.username, _variable(config.secret_env, "the password"))
        server.send_message(mail)


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


async def _to_log(_: SinkConfig, notice: dict[str, Any]) -> None:
    _log.warning("%s %s", sentence(notice), msgspec.json.encode(notice["row"]).decode())


_SENDERS = {"webhook": _webhook, "slack": _slack, "email": _email, "command": _command, "log": _to_log}
