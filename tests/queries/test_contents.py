"""Messages that came beside their spans: filled in where there are none, and never where the content policy took them."""

from __future__ import annotations

import runpy
import uuid
from pathlib import Path
from typing import Any

from evalspan.queries import message_events as contents
from evalspan.queries.message_events import SpanMessages, add_messages
from evalspan.queries.store.client import Store

otlp: dict[str, Any] = runpy.run_path(str(Path(__file__).parent / "test_otlp_columns.py"))


def inserted(store: Store, *attributes: dict[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    project = str(uuid.uuid4())
    spans = [otlp["span"](n, found) for n, found in enumerate(attributes)]
    store.insert_otlp(otlp["record"](otlp["request"](spans).SerializeToString(), project), token=project)
    return project, [(span.trace_id.hex(), span.span_id.hex()) for span in spans]


def rows(store: Store, project: str) -> list[tuple[Any, ...]]:
    sql = (
        "SELECT input, output, input_preview, output_preview FROM spans WHERE project = {p:String} ORDER BY start_time"
    )
    return store.query(sql, {"p": project}).rows


def test_what_the_content_policy_took_from_a_span_does_not_come_back_beside_it(store: Store) -> None:
    project, ids = inserted(store, {}, {"evalspan.content_dropped": True})
    add_messages(store, project, [SpanMessages(*one, input="asked", output="said", system="be kind") for one in ids])
    assert rows(store, project) == [("asked", "said", "asked", "said"), ("", "", "", "")]
    hashes = store.query(
        "SELECT uniqExact(system_hash), min(system_hash) FROM spans WHERE project = {p:String}", {"p": project}
    )
    assert hashes.rows[0][0] == 1
    assert len(hashes.rows[0][1]) == 16


def test_messages_on_the_span_itself_stay(store: Store) -> None:
    project, ids = inserted(store, {"gen_ai.input.messages": "[1]"})
    add_messages(store, project, [SpanMessages(*ids[0], input="asked", output="said", system="")])
    assert rows(store, project) == [("[1]", "said", "[1]", "said")]


def test_many_messages_go_in_shares_and_none_is_lost(store: Store, monkeypatch: Any) -> None:
    monkeypatch.setattr(contents, "MAX_SPANS", 3)
    monkeypatch.setattr(contents, "MAX_BYTES", 1_000)
    project, ids = inserted(store, *({} for _ in range(10)))
    texts = [str(n) * (5_000 if n == 4 else 10) for n in range(10)]
    said = [SpanMessages(*one, input=text, output="", system="") for one, text in zip(ids, texts, strict=True)]
    add_messages(store, project, [*said, SpanMessages("f" * 32, "f" * 16, input="nobody's", output="", system="")])
    assert [row[0] for row in rows(store, project)] == texts
