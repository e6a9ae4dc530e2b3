"""What each kind of HTTP receiver gets for a notice: our JSON, Slack's text, cards for Teams, PagerDuty and Opsgenie events."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from ...queries.untrusted_text import markdown_text, slack_text
from .config import SinkConfig
from .notices import shown_notice, summary_line

PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
OPSGENIE_URL = "https://api.opsgenie.com"
_JSON = {"Content-Type": "application/json"}
_PAGERDUTY_SEVERITY = {"high": "critical", "medium": "warning", "low": "warning", "info": "info"}
_OPSGENIE_PRIORITY = {"high": "P1", "medium": "P3", "low": "P4", "info": "P5"}


class HttpMessage(NamedTuple):
    """One POST: where to, with which headers, which body."""

    url: str
    headers: dict[str, str]
    body: bytes


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What the header X-Evalspan-Signature contains: HMAC-SHA256 over "<timestamp>.<body>", in hex."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def dedup_key(notice: dict[str, Any]) -> str:
    """The same for all notices of one alert instance, so that a receiver closes what it opened."""
    key = f"evalspan/{notice.get('project', 'default')}/{notice['name']}"
    return key if len(key) <= 200 else f"evalspan/{hashlib.sha256(key.encode()).hexdigest()}"


def links_of(notice: dict[str, Any]) -> list[tuple[str, str]]:
    """Text and address of everything a reader may open: the alert first, then the traces."""
    alert = [("alert", notice["link"])] if notice.get("link") else []
    return alert + [(f"trace {number}", trace) for number, trace in enumerate(notice["traces"], start=1)]


def _reasons(notice: dict[str, Any]) -> list[str]:
    """Why the metric moved, in sentences."""
    return [str(line) for line in notice.get("reasons", [])]


def webhook(config: SinkConfig, url: str, secret: str, notice: dict[str, Any]) -> HttpMessage:
    """Our own JSON, signed when there is a secret."""
    body = msgspec.json.encode(notice)
    headers = dict(_JSON)
    if config.secret_env:
        stamp = str(int(time.time()))
        headers["X-Evalspan-Timestamp"] = stamp
        headers["X-Evalspan-Signature"] = signature(secret, stamp, body)
    return HttpMessage(url, headers, body)


def slack(_: SinkConfig, url: str, __: str, notice: dict[str, Any]) -> HttpMessage:
    """Slack's incoming webhook, which Mattermost and Discord (`/slack`) take, too."""
    reasons = "".join(f"\n{line}" for line in _reasons(notice))
    links = "".join(f"\n{link}" for _, link in links_of(notice))
    return HttpMessage(url, _JSON, msgspec.json.encode({"text": slack_text(summary_line(notice) + reasons) + links}))


def teams(_: SinkConfig, url: str, __: str, notice: dict[str, Any]) -> HttpMessage:
    """An adaptive card for a Teams workflow webhook."""
    color = {"high": "Attention", "medium": "Warning"}.get(notice["severity"], "Default")
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {
                "type": "TextBlock",
                "text": markdown_text(f"{notice['state']}: {notice['name']}"),  # a card shows links and images
                "weight": "Bolder",
                "color": "Good" if notice["state"] == "resolved" else color,
                "wrap": True,
            },
            *(
                {"type": "TextBlock", "text": markdown_text(text), "wrap": True}
                for text in (notice["message"], *_reasons(notice))
            ),
            {
                "type": "FactSet",
                "facts": [
                    {"title": "severity", "value": notice["severity"]},
                    {"title": "project", "value": markdown_text(notice.get("project", "default"))},
                    {"title": "since", "value": notice.get("started_at", "")},
                ],
            },
        ],
        "actions": [{"type": "Action.OpenUrl", "title": text, "url": link} for text, link in links_of(notice)[:6]],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return HttpMessage(url, _JSON, msgspec.json.encode({"type": "message", "attachments": [attachment]}))


def pagerduty(_: SinkConfig, url: str, secret: str, notice: dict[str, Any]) -> HttpMessage:
    """An event of PagerDuty's Events API v2: `resolve` closes what `trigger` opened."""
    event: dict[str, Any] = {
        "routing_key": secret,
        "event_action": "resolve" if notice["state"] == "resolved" else "trigger",
        "dedup_key": dedup_key(notice),
        "client": "evalspan",
        "payload": {
            "summary": summary_line(notice)[:1024],
            "source": f"evalspan/{notice.get('project', 'default')}",
            "severity": _PAGERDUTY_SEVERITY.get(notice["severity"], "warning"),
            "class": notice["rule"],
            "custom_details": {
                "message": notice["message"],
                "reasons": _reasons(notice),
                "numbers": notice.get("numbers"),
                "row": notice["row"],
            },
        },
        "links": [{"href": link, "text": text} for text, link in links_of(notice)],
    }
    if notice.get("started_at"):
        event["payload"]["timestamp"] = notice["started_at"]
    if notice.get("link"):
        event["client_url"] = notice["link"]
    return HttpMessage(url or PAGERDUTY_URL, _JSON, msgspec.json.encode(event))


def opsgenie(_: SinkConfig, url: str, secret: str, notice: dict[str, Any]) -> HttpMessage:
    """An alert of Opsgenie's Alert API, or its close; `url` for another region (https://api.eu.opsgenie.com)."""
    base = f"{(url or OPSGENIE_URL).rstrip('/')}/v2/alerts"
    headers = {**_JSON, "Authorization": f"GenieKey {secret}"}
    alias = dedup_key(notice)
    if notice["state"] == "resolved":
        body: dict[str, Any] = {"source": "evalspan", "note": notice["message"][:25000]}
        address = f"{base}/{quote(alias, safe='')}/close?identifierType=alias"
    else:
        more = "".join(f"\n{line}" for line in _reasons(notice))
        more += "".join(f"\n{text}: {link}" for text, link in links_of(notice))
        address = base
        body = {
            "message": f"{notice['name']}: {notice['message']}"[:130],
            "alias": alias,
            "description": (summary_line(notice) + more)[:15000],
            "priority": _OPSGENIE_PRIORITY.get(notice["severity"], "P3"),
            "source": "evalspan",
            "tags": ["evalspan", notice["rule"][:50]],
            "details": {name: str(value) for name, value in (notice.get("numbers") or {}).items() if value is not None},
        }
    return HttpMessage(address, headers, msgspec.json.encode(body))


Format = Callable[[SinkConfig, str, str, dict[str, Any]], HttpMessage]


def _for_people(write: Format) -> Format:
    """The format of a receiver that shows the notice as it comes."""

    def written(config: SinkConfig, url: str, secret: str, notice: dict[str, Any]) -> HttpMessage:
        return write(config, url, secret, shown_notice(notice))

    return written


FORMATS: dict[str, Format] = {
    "webhook": webhook,  # data for a program: as it is
    "slack": _for_people(slack),
    "teams": _for_people(teams),
    "pagerduty": _for_people(pagerduty),
    "opsgenie": _for_people(opsgenie),
}
