"""Notices by mail: a header that span values cannot break, a body that people read, and a connection that is encrypted."""

from __future__ import annotations

import os
import smtplib
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from functools import partial
from typing import Any

from ...errors import ConfigError
from ...queries.host.auth import is_loopback
from .config import SinkConfig
from .formats import links_of
from .notices import shown_notice, summary_line

SMTPS = "465"


def mail_of(config: SinkConfig, notice: dict[str, Any]) -> EmailMessage:
    """The message: subject in one line, then what happened, the numbers, the reason, and what to open."""
    mail, notice = EmailMessage(), shown_notice(notice)
    # The name contains values of spans, and a header takes no line break.
    mail["Subject"] = " ".join(f"evalspan {notice['state']}: {notice['name']}".split())
    mail["From"], mail["To"] = config.sender, ", ".join(config.to)
    mail["Date"] = format_datetime(datetime.now(UTC))
    domain = config.sender.rpartition("@")[2].rstrip("> ")
    mail["Message-ID"] = make_msgid(domain=domain if domain.isascii() and " " not in domain else "evalspan.invalid")
    mail.set_content("\n".join(_body(notice)) + "\n")
    return mail


def send_mail(config: SinkConfig, mail: EmailMessage) -> None:
    """Hands the message to the server. Raises OSError or smtplib's errors; ConfigError without the password."""
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
            server.login(config.username, environment_value(config.secret_env, "the password"))
        server.send_message(mail)


def environment_value(name: str, what: str) -> str:
    """The value of an environment variable, "" when none is named. Raises ConfigError when it is not set."""
    value = os.environ.get(name, "") if name else ""
    if name and not value:
        raise ConfigError(f"the variable {name} ({what}) is not set", hint=f"set {name} where `evalspan serve` starts")
    return value


def _body(notice: dict[str, Any]) -> list[str]:
    lines = [summary_line(notice), ""]
    about = {
        "Rule": notice["rule"],
        "Project": notice.get("project", ""),
        "Since": notice.get("started_at", ""),
        "Query": notice.get("query", ""),
        "Condition": notice.get("condition", ""),
    }
    lines += [f"{name + ':':<11}{value}" for name, value in about.items() if value]
    numbers = {name: value for name, value in (notice.get("numbers") or {}).items() if value not in (None, "")}
    if numbers:
        lines += ["", "Numbers of the window that raised it:"]
        lines += [
            f"  {name}: {value:.6g}" if isinstance(value, float) else f"  {name}: {value}"
            for name, value in numbers.items()
        ]
    lines += ["", *notice["reasons"]] if notice.get("reasons") else []
    links = links_of(notice)
    return lines + (["", *(f"{text}: {link}" for text, link in links)] if links else [])
