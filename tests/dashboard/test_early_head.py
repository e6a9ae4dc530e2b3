"""A page that takes long stands at once: its head goes first, compressed or not, and the rest is the same page."""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from evalspan.dashboard import early_head
from evalspan.dashboard.early_head import MARK, READING
from evalspan.errors import QueryError
from evalspan.queries.store.client import Store

from .application import with_pages

BROWSER = {"Accept": "text/html,*/*", "Accept-Encoding": "identity"}
FIXED = ["/", "/traces", "/sessions", "/explore", "/cost", "/prompts", "/scores", "/drift", "/alerts", "/review", "/annotate", "/datasets", "/experiments", "/difference", "/views"]  # fmt: skip
NOON = datetime(2026, 4, 7, 12, tzinfo=UTC)
RANGE = "from=2026-04-07T00:00&to=2026-04-08T00:00&project=early-head"


class Held:
    """The store of the tests, whose statements over spans and scores wait until `go` is set, or fail."""

    def __init__(self, store: Store) -> None:
        self.store, self.go, self.fails = store, threading.Event(), False
        self.changes = None

    def query(self, sql: str, *given: Any, **more: Any) -> Any:
        if "saved_views" not in sql:
            self.go.wait(20)
            if self.fails:
                raise QueryError("The store is busy.", hint="Try again.")
        return self.store.query(sql, *given, **more)


@pytest.fixture
def held(store: Store) -> Iterator[Held]:
    found = Held(store)
    yield found
    found.go.set()


def test_the_head_is_there_before_the_store_answers_also_compressed(held: Held) -> None:
    async def told(client: Any) -> None:
        for encoding in ("identity", "gzip"):
            held.go.clear()
            answer = await client.get(f"/cost?{RANGE}", headers={**BROWSER, "Accept-Encoding": encoding})
            first = await asyncio.wait_for(answer.content.readany(), 5)
            unpacked = zlib.decompressobj(31)
            head = (unpacked.decompress(first) if encoding == "gzip" else first).decode()
            assert head.endswith(READING)
            assert 'aria-label="Pages"' in head
            assert "Content-Security-Policy" in answer.headers
            assert answer.headers["Cache-Control"] == "no-store"
            held.go.set()
            rest = await answer.content.read()
            text = (unpacked.decompress(rest) if encoding == "gzip" else rest).decode()
            assert text.startswith(MARK)
            assert text.rstrip().endswith("</html>")
            assert "as SQL" in text, "what was read after the head is not there"

    with_pages(held, told)


def calls() -> list[dict[str, Any]]:
    """A few calls in a project of their own: what other tests stored may change between two looks."""
    return [
        {
            "project": "early-head",
            "trace_id": f"{number:032x}",
            "span_id": f"{number:016x}",
            "name": "chat m",
            "operation": "chat",
            "role": "call",
            "service": "shop",
            "start_time": NOON + timedelta(minutes=number),
            "duration_ns": 10**9 + number,
            "cost_usd": 0.25,  # sums of it are exact in any order
        }
        for number in range(1, 30)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["", "/tools"])
def test_a_page_in_two_parts_is_the_page_in_one(held: Held, monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    held.store.insert("spans", calls())
    held.go.set()

    async def told(client: Any) -> None:
        for path in FIXED[:2] if prefix else FIXED:
            for patience in (30.0, 0.0):
                monkeypatch.setattr(early_head, "PATIENCE_S", patience)
                answer = await client.get(f"{path}?{RANGE}", headers=BROWSER)
                text = (await answer.read()).decode()
                if patience:
                    whole = text
                    assert READING not in text
            assert answer.status == 200, path
            assert path != "/traces" or whole.count("chat m") >= 29, "the page shows nothing that could differ"
            assert text.count(READING) == 1, path
            assert plain(text.replace(READING, "")) == plain(whole), path

    with_pages(held, told, public_url=f"https://example.com{prefix}" if prefix else "")


def plain(text: str) -> str:
    """A page without what is another one each time."""
    import re

    return re.sub(r'content="[0-9a-f.:]{20,}"|value="[0-9a-f.:]{32,}"|\d\d:\d\d(:\d\d(\.\d+)?)?', "", text)


def test_an_error_after_the_head_stands_on_the_page(held: Held) -> None:
    held.fails = True

    async def told(client: Any) -> None:
        answer = await client.get(f"/scores?{RANGE}", headers=BROWSER)
        first = await asyncio.wait_for(answer.content.readany(), 5)
        assert first.decode().endswith(READING)
        held.go.set()
        text = (await answer.content.read()).decode()
        assert "The store is busy." in text
        assert text.rstrip().endswith("</html>")
        # A program waits for the status.
        assert (await client.get(f"/scores?{RANGE}")).status == 503

    with_pages(held, told)
