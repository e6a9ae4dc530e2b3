"""The gate's report on a terminal: plain text that also reads well in a CI log."""

from __future__ import annotations

from ...queries.untrusted_text import ci_text, one_line
from ..gate.report import GateReport
from .markdown import bound_in_words, percent

MAX_CASES = 10


def as_text(report: GateReport) -> str:
    """The report in columns, the verdict last, where the eye is."""
    lines = [*_partitions(report), *_comparisons(report), *_cases(report)]
    lines += [f"note: {note}" for note in report.notes]
    for reason in report.reasons:
        lines.append(f"{reason.verdict}: {reason.message}")
        if reason.hint:
            lines.append(f"  fix: {reason.hint}")
    lines.append(f"verdict: {report.verdict} (exit {report.exit_code})")
    return "\n".join(ci_text(one_line(line)) for line in lines)


def _partitions(report: GateReport) -> list[str]:
    if not report.partitions:
        return []
    lines = [f"{'PARTITION':<13}{'PASSED':>12}{'FAILED':>8}{'UNMEASURED':>12}{'RATE':>8}  VERDICT"]
    for name, one in report.partitions.items():
        lines.append(
            f"{name:<13}{f'{one.passed}/{one.total}':>12}{one.failed:>8}{one.inconclusive:>12}"
            f"{percent(one.pass_rate):>8}  {one.verdict}"
        )
        if bound_in_words(one):
            lines.append(f"  {bound_in_words(one)}")
    first = next(iter(report.partitions.values()))
    return [*lines, f"a case passes when: {first.pass_means}", ""]


def _comparisons(report: GateReport) -> list[str]:
    lines = []
    for name, compared in report.comparisons.items():
        for one in compared:
            low, high = one["interval"]
            lines.append(
                f"{name} {one['metric']}: {one['baseline_mean']:.3f} -> {one['candidate_mean']:.3f}, "
                f"{one['difference']:+.3f} [{low:+.3f}, {high:+.3f}] over {one['n']} pairs: {one['conclusion']}"
            )
    return [*lines, ""] if lines else []


def _cases(report: GateReport) -> list[str]:
    bad = [result for result in report.results if result.status != "passed"]
    lines = [f"{one.status:<13}{one.example_id}: {one.failure_reason}" for one in bad[:MAX_CASES]]
    if len(bad) > MAX_CASES:
        lines.append(f"... and {len(bad) - MAX_CASES} more")
    return [*lines, ""] if lines else []
