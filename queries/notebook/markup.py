"""HTML of the displays: everything that was traced is escaped, nothing is loaded, no script runs, either theme works."""

from __future__ import annotations

from html import escape
from typing import Any

from ..untrusted_text import visible

FONT = "font-family:ui-monospace,SFMono-Regular,Menlo,monospace;font-size:12px"
QUIET = "opacity:.65"
# Told apart on white and on black, with and without colour vision (Okabe and Ito).
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9")


def text(value: Any, max_length: int = 0) -> str:
    """What somebody wrote, as HTML that shows it and does nothing else; cut with a mark when it is longer."""
    shown = visible(str(value))
    if max_length and len(shown) > max_length:
        shown = f"{shown[:max_length]}… ({len(shown) - max_length:,} more characters)"
    return escape(shown, quote=True)


def table(headings: list[str], rows: list[list[str]]) -> str:
    """A table of cells that are HTML already."""
    cell = "padding:2px 10px 2px 0;text-align:left;vertical-align:top;white-space:nowrap"
    head = "".join(f'<th style="{cell}">{heading}</th>' for heading in headings)
    body = "".join("<tr>" + "".join(f'<td style="{cell}">{one}</td>' for one in row) + "</tr>" for row in rows)
    return f'<table style="{FONT};border-collapse:collapse"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def folded(heading: str, content: str) -> str:
    """Content that opens on a click; `heading` is HTML already."""
    return f'<details style="margin:2px 0"><summary style="cursor:pointer">{heading}</summary>{content}</details>'
