"""A trace in a notebook: its spans as a waterfall, with messages, errors and scores; as text where HTML is not shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..durations import format_duration
from ..messages import lines_of
from ..trace_tree import Span, TraceTree, begin_ns, role_of, terminal_rows
from . import markup

if TYPE_CHECKING:
    from ..traces import Trace

MAX_SHOWN = 300
"""Spans that are drawn; a notebook keeps what it shows."""
MAX_TEXT = 4000
"""Characters of one message."""
_COLOUR_OF_ROLE = {"call": 0, "agent": 3, "tool": 2, "retrieval": 1}


class TraceDisplay:
    """One trace; `trace` has the spans as a tree and the evaluations."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def __repr__(self) -> str:
        tree = self.trace.tree
        lines = [self._heading()]
        for row in list(terminal_rows(tree))[:MAX_SHOWN]:
            marks = [_fact(one) for one in _scores(self.trace.evaluations, str(row.span["span_id"]))]
            lines.append("  ".join([f"{row.rails}{row.span['name']}", *_facts(row.span), *marks]))
        return "\n".join([*lines, *_left_out(tree)])

    def _repr_html_(self) -> str:
        tree = self.trace.tree
        rows = [self._row(tree.spans[span_id], tree) for span_id in tree.order[:MAX_SHOWN]]
        whole = " ".join(_mark(one) for one in _scores(self.trace.evaluations, ""))
        more = "".join(f'<div style="{markup.QUIET}">{markup.text(one)}</div>' for one in _left_out(tree))
        return f'<div style="{markup.FONT}"><div><b>{markup.text(self._heading())}</b> {whole}</div>{"".join(rows)}{more}</div>'

    def _heading(self) -> str:
        trace = self.trace
        return f"trace {trace.trace_id}  {trace.start:%Y-%m-%d %H:%M:%S} UTC  {format_duration(trace.duration_ns)}"

    def _row(self, span: Span, tree: TraceTree) -> str:
        marks = " ".join(_mark(one) for one in _scores(self.trace.evaluations, str(span["span_id"])))
        indent = min(tree.depth[str(span["span_id"])], 20) * 14
        facts = markup.text("  ".join(_facts(span)))
        heading = (
            f'<span style="display:inline-block;width:300px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;'
            f'vertical-align:bottom"><span style="padding-left:{indent}px">{markup.text(span["name"], 80)}</span></span>'
            f'{_bar(span, tree)} <span style="{markup.QUIET}">{facts}</span> {marks}'
        )
        said = [(role or label, text) for label in ("input", "output") for role, text in lines_of(span[label])]
        if span["status_message"]:
            said.append(("error", span["status_message"]))
        if not said:
            return f'<div style="margin:2px 0 2px 14px">{heading}</div>'
        cell = "white-space:pre-wrap;display:block;max-width:900px"
        texts = [
            [f"<b>{markup.text(who)}</b>", f'<span style="{cell}">{markup.text(text, MAX_TEXT)}</span>']
            for who, text in said
        ]
        return markup.folded(heading, markup.table(["", ""], texts))


def _bar(span: Span, tree: TraceTree) -> str:
    total = max(tree.duration_ns, 1)
    left = min(100.0, max(0.0, (begin_ns(span) - tree.start_ns) / total * 100))
    width = min(max(0.5, span["duration_ns"] / total * 100), 100.0 - left) or 0.5
    failed = span["status"] == "ERROR"
    colour = markup.COLOURS[4] if failed else markup.COLOURS[_COLOUR_OF_ROLE.get(role_of(span), 5)]
    return (
        '<span style="display:inline-block;width:220px;height:10px;background:rgba(128,128,128,.18)">'
        f'<span style="display:block;height:10px;margin-left:{left:.2f}%;width:{width:.2f}%;background:{colour}"></span></span>'
    )


def _facts(span: Span) -> list[str]:
    facts = [format_duration(span["duration_ns"])]
    if span["request_model"]:
        facts.append(str(span["request_model"]))
    if span["input_tokens"] or span["output_tokens"]:
        facts.append(f"{span['input_tokens'] or 0:,}+{span['output_tokens'] or 0:,} tok")
    if span["cost_usd"] is not None:
        facts.append(f"${span['cost_usd']:.6f}".rstrip("0").rstrip("."))
    if span["status"] == "ERROR":
        facts.append(f"ERROR {span['error_type']}".rstrip())
    return facts


def _scores(evaluations: list[dict[str, Any]], span_id: str) -> list[dict[str, Any]]:
    return [one for one in evaluations if one["span_id"] == span_id]


def _fact(one: dict[str, Any]) -> str:
    value = "" if one["score"] is None else f" {one['score']:.2f}"
    verdict = {"pass": " passed", "fail": " failed"}.get(str(one["passed"]), " unscored" if one["error"] else "")
    return f"{one['name']}{value}{verdict}"


def _mark(one: dict[str, Any]) -> str:
    colour = {"pass": markup.COLOURS[2], "fail": markup.COLOURS[4]}.get(str(one["passed"]), "gray")
    why = markup.text(one["explanation"] or one["error"] or "", 500)
    return f'<span title="{why}" style="border:1px solid {colour};border-radius:3px;padding:0 4px">{markup.text(_fact(one), 80)}</span>'


def _left_out(tree: TraceTree) -> list[str]:
    left = len(tree.order) - MAX_SHOWN
    return [f"{left:,} more spans; `evalspan traces show` prints all"] if left > 0 else []
