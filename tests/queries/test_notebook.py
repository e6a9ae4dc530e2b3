"""Displays of a notebook: what strangers wrote is shown and does nothing; a real kernel shows them as HTML."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from evalspan import notebook
from evalspan.errors import StoreUnreachable, UsageError
from evalspan.queries.store.client import Store

NOW = datetime.now(UTC)
HOSTILE = """<script>alert(1)</script><img src=x onerror=alert(1)> "' &amp; \x1b[31m\u202e </pre></details></table>"""


class Elements(HTMLParser):
    """What a browser would make of it: elements with attributes, and whether each is closed where it was opened."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("br", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def elements(html: str) -> Elements:
    parser = Elements()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


def assert_harmless(html: str) -> None:
    known = set("div b i br span details summary table thead tbody tr th td svg text polygon polyline circle".split())
    for tag, attributes in elements(html).found:
        assert tag in known, tag
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "href")]
    assert not re.search("[\x00-\x08\x1b\u202e]", html)


@pytest.fixture(scope="module")
def project(store: Store) -> str:
    name = f"notebook-{uuid.uuid4().hex}"
    trace = uuid.uuid4().hex
    shared = {"project": name, "trace_id": trace, "start_time": NOW - timedelta(hours=2), "duration_ns": 1_500_000_000}
    question = f'[{{"role":"user","parts":[{{"type":"text","content":{_json(HOSTILE)}}}]}}]'
    root, call = uuid.uuid4().hex[:16], uuid.uuid4().hex[:16]
    spans = [
        {**shared, "span_id": root, "name": f"answer {HOSTILE}", "role": "agent"},
        {
            **shared,
            "span_id": call,
            "parent_span_id": root,
            "name": "chat",
            "operation": "chat",
            "request_model": HOSTILE,
            "input": question,
            "output": "x" * 9000,
            "status": "ERROR",
            "error_type": HOSTILE,
            "cost_usd": 0.00012,
            "status_message": HOSTILE,
        },
    ]
    store.insert("spans", spans)
    scores = [
        {
            "project": name,
            "evaluation_id": str(uuid.uuid4()),
            "name": HOSTILE,
            "evaluator_version": HOSTILE,
            "source": "code",
            "trace_id": trace,
            "span_id": call,
            "score": value,
            "passed": "fail",
            "explanation": HOSTILE,
            "span_time": NOW - timedelta(days=day),
            "system_hash": HOSTILE[day:],
        }
        for day, value in ((0, 0.25), (1, 0.5), (1, 0.75), (3, 1.0))
    ]
    store.insert("evaluations", scores)
    return f"{name} {trace}"


def _json(text: str) -> str:
    import json

    return json.dumps(text)


def test_a_trace_shows_what_was_said_and_runs_none_of_it(store: Store, project: str) -> None:
    shown = notebook.trace(project.split()[1][:20], store=store)
    html = shown._repr_html_()
    assert_harmless(html)
    assert "alert(1)" in html
    assert "5,000 more characters" in html
    assert "$0.00012" in html
    assert "└─ chat" in repr(shown)
    assert "ERROR" in repr(shown)


def test_bars_stay_inside_their_lane(store: Store, project: str) -> None:
    html = notebook.trace(project.split()[1], store=store)._repr_html_()
    places = re.findall(r"margin-left:([\d.]+)%;width:([\d.]+)%", html)
    assert len(places) == 2
    assert all(float(left) + float(width) <= 100.01 for left, width in places)


@pytest.mark.parametrize("by", ["", "system_hash"])
def test_a_trend_shows_means_within_intervals(store: Store, project: str, by: str) -> None:
    shown = notebook.score_trend(HOSTILE, since="7d", by=by, project=project.split(maxsplit=1)[0], store=store)
    assert sum(row["n"] for row in shown.rows) == 4
    html = shown._repr_html_()
    assert_harmless(html)
    assert "<polyline" in html
    assert "0.625 [" in html or by
    for x, y in re.findall(r"([\d.]+),([\d.]+)", " ".join(re.findall('points="([^"]*)"', html))):
        assert 0 <= float(x) <= 640
        assert 0 <= float(y) <= 200


def test_nothing_scored_says_so(store: Store) -> None:
    shown = notebook.score_trend("never", project="nobody", store=store)
    assert (shown.rows, repr(shown)) == ([], "no scores of never in the last 7d")
    assert "no scores of never" in shown._repr_html_()


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda store: notebook.trace("zz", store=store), UsageError),
        (lambda store: notebook.score_trend("m", since="soon", store=store), UsageError),
        (lambda store: notebook.trace("0" * 32, store="chdb:///tmp/evalspan-there-is-none"), StoreUnreachable),
    ],
)
def test_what_cannot_be_is_an_error_with_its_fix(store: Store, call: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        call(store)


STORED = """
import datetime, uuid
from evalspan import notebook
from evalspan.queries import open_store

store = open_store("chdb://" + PATH)
trace, now = uuid.uuid4().hex, datetime.datetime.now(datetime.UTC)
span = {"trace_id": trace, "span_id": "1" * 16, "name": "chat", "operation": "chat", "start_time": now, "duration_ns": 10**9}
store.insert("spans", [span])
score = {"evaluation_id": str(uuid.uuid4()), "name": "good", "evaluator_version": "1", "source": "code", "trace_id": trace}
score |= {"span_id": "1" * 16, "score": 1.0, "passed": "pass", "span_time": now}
store.insert("evaluations", [score])
"""
SHOWN = ["notebook.trace(trace, store=store)", "notebook.score_trend('good', store=store)"]


@pytest.mark.slow
def test_a_real_kernel_shows_both_as_html(tmp_path: Path) -> None:
    stored = nbformat.v4.new_code_cell(f"PATH = {str(tmp_path / 'store')!r}\n{STORED}")
    cells = [stored, *map(nbformat.v4.new_code_cell, SHOWN)]
    written = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(
        written, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    for cell, sign in zip(written.cells[1:], ("good 1.00 passed", "<svg"), strict=True):
        (output,) = cell.outputs
        assert output.output_type == "execute_result"
        assert_harmless(output.data["text/html"])
        assert sign in output.data["text/html"]
        assert output.data["text/plain"]
