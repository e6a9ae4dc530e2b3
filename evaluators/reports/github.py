"""The gate's report for GitHub Actions: annotations on stdout's workflow channel, the summary in its file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ...queries.untrusted_text import visible
from ..gate.report import GateReport
from .markdown import markdown

MAX_ANNOTATIONS = 10  # annotations that GitHub shows per step and kind


def in_github() -> bool:
    """Whether this runs as a step of GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def workflow_commands(report: GateReport) -> Iterator[str]:
    """Workflow commands, the worst first; the file is the dataset, the line that of the case."""
    lines = _lines_of(report.dataset_path)
    place = _escape_property(_relative(report.dataset_path))
    for reason in report.reasons[:MAX_ANNOTATIONS]:
        level = "error" if reason.verdict == "failed" else "warning"
        line = next((lines[one] for one in reason.example_ids if one in lines), 1)
        fix = f" Fix: {reason.hint}" if reason.hint else ""
        title = _escape_property(f"evalspan gate: {reason.code}")
        yield f"::{level} file={place},line={line},title={title}::{_escape(reason.message + '.' + fix)}"


def write_step_summary(report: GateReport) -> None:
    """Appends the Markdown report to the file that GITHUB_STEP_SUMMARY names, when it does."""
    place = os.environ.get("GITHUB_STEP_SUMMARY")
    if place:
        with Path(place).open("a", encoding="utf-8") as file:
            file.write(markdown(report) + "\n")


def _lines_of(dataset_path: str) -> dict[str, int]:
    import msgspec

    found: dict[str, int] = {}
    try:
        content = Path(dataset_path).read_bytes().splitlines()
    except OSError:
        return found
    for number, line in enumerate(content, 1):
        try:
            item = msgspec.json.decode(line)
        except msgspec.DecodeError:
            continue
        if isinstance(item, dict) and isinstance(item.get("id"), str):
            found[item["id"]] = number
    return found


def _relative(path: str) -> str:
    root = os.environ.get("GITHUB_WORKSPACE") or str(Path.cwd())
    absolute = Path(path).resolve()
    return str(absolute.relative_to(root)) if absolute.is_relative_to(root) else path


def _escape(text: str) -> str:
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")
