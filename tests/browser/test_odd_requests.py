"""Addresses and forms that no page of ours makes are answered as what they are, and never as a fault of the service."""

from __future__ import annotations

import random
import re
from urllib.parse import urlencode

import pytest

from ..collector.serving import Collector
from .test_pages import PAGES

pytestmark = pytest.mark.browser

ODD = (
    "", "0", "-1", "1e9", "9" * 400, "NaN", "null", "'", '"', "<script>", "%", "\0", "é", "💥", "../..", "a" * 5000, "[]",
    "2026-13-45", "99999w", "0001-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59", "9999-12-31T23:59:59-14:00",
    "1969-12-31", "'; DROP TABLE spans", "\\", "{x:String}", "*",
)  # fmt: skip
EVERYWHERE = ("since", "from", "to", "project", "environment", "service")


@pytest.mark.parametrize("path", PAGES)
def test_no_value_of_a_parameter_breaks_a_page(served: Collector, path: str) -> None:
    page = served.request("GET", path).body.decode()
    names = sorted({*EVERYWHERE, *re.findall(r'name="(\w+)"', page)})
    rng = random.Random(path)
    tries = [(name, value) for name in ("since", "from", "to") for value in ODD]
    tries += [(rng.choice(names), rng.choice(ODD)) for _ in range(40)]
    base, _, query = path.partition("?")
    for name, value in tries:
        answer = served.request("GET", f"{base}?{query}&{urlencode({name: value})}")
        assert answer.status < 500, (name, value, answer.body[-2000:])


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=x", b"trace=1"),
        ("multipart/form-data", b""),
        ("application/x-www-form-urlencoded", b"\xff\xfe=1"),
        ("application/x-www-form-urlencoded", b"csrf=%ed%a0%80"),
    ],
)
@pytest.mark.parametrize("path", ["/review", "/annotate", "/traces/compare", "/alerts/x/silence", "/login"])
def test_a_form_that_cannot_be_read_is_the_sender_s_mistake(
    served: Collector, path: str, kind: str, body: bytes
) -> None:
    answer = served.post(body, kind, path)
    assert 400 <= answer.status < 500


def test_a_token_that_is_no_text_is_a_wrong_one(served: Collector) -> None:
    answer = served.request("POST", "/review", b"", {"X-CSRF-Token": "\xff\xfe"})
    assert answer.status == 403
