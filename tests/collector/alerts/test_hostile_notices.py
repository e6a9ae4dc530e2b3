"""What spans and models put into an alert stays text wherever the notice is shown: chat, cards, pagers, mail."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest

from evalspan.collector.alerts.config import SinkConfig, SinkKind
from evalspan.collector.alerts.formats import FORMATS
from evalspan.collector.alerts.mail import mail_of

from ...queries.test_untrusted_text import HOSTILE

MARKUP = (
    "[click](http://evil.example)", "![i](http://evil.example/x.png)", "<http://evil.example|x>", "<!channel>", "<@U1>",
    "a\r\nBcc: x@evil.example", "a\nTo: y", "*bold* `code` ~x~", "<img src=x onerror=alert(1)>", "{value:.1f}", "{", "\udcff",
    "x" * 100_000,
)  # fmt: skip


def notice(text: str) -> dict[str, Any]:
    """An alert that fired, with the text in every place that others fill."""
    return {
        "rule": text, "name": f"rule {text}", "severity": "high", "state": "firing", "started_at": "2026-01-05T10:00:00+00:00",
        "project": text, "message": f"{text} is lower", "query": "e_detector", "parameters": {}, "condition": "alarm",
        "numbers": {"value": 0.5, "unit": "score"}, "row": {"metric": text, text: 1.0, "segment": text}, "traces": [],
        "link": "http://127.0.0.1/alerts/1", "finding": None, "reasons": [f"the model {text}", text],
    }  # fmt: skip


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def hidden(text: str) -> list[str]:
    return [c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs")]


@pytest.mark.parametrize("kind", ["slack", "teams", "pagerduty", "opsgenie"])
@pytest.mark.parametrize("text", [*HOSTILE, *MARKUP])
def test_a_receiver_gets_no_controls_and_no_markup_of_strangers(kind: SinkKind, text: str) -> None:
    sent = FORMATS[kind](
        SinkConfig(name="s", kind=kind, url="http://127.0.0.1/x", secret_env="KEY"),
        "http://127.0.0.1/x",
        "key",
        notice(text),
    )
    for shown in texts(json.loads(sent.body)):
        assert not hidden(shown), shown
        if kind == "teams":
            assert not re.search(r"(?<!\\)\]\(", shown), "a link"
        if kind == "slack":
            assert "<!" not in shown, "a mention"
            assert "<@" not in shown, "a mention"


@pytest.mark.parametrize("text", [*HOSTILE, *MARKUP])
def test_a_mail_has_its_own_headers_alone_and_no_controls(text: str) -> None:
    config = SinkConfig(name="s", kind="email", smtp="localhost:25", sender="a@example.com", to=("b@example.com",))
    mail = mail_of(config, notice(text))
    raw = mail.as_bytes().decode("ascii", "replace")
    head = raw.split("\n\n", 1)[0]
    names = {line.split(":")[0] for line in head.splitlines() if not line.startswith((" ", "\t"))}
    assert names <= {
        "Subject",
        "From",
        "To",
        "Date",
        "Message-ID",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
    }
    assert mail["To"] == "b@example.com"
    assert not hidden(str(mail["Subject"]))
    assert not hidden(mail.get_content())
