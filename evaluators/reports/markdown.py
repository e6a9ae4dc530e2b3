"""The gate's report as Markdown, for a pull request, a step summary or a terminal."""

from __future__ import annotations

from typing import Any

from ...queries.untrusted_text import markdown_cell
from ..gate.report import GateReport, PartitionSummary, Reason

MARKS = {"passed": "✅ passed", "failed": "❌ failed", "inconclusive": "⚠️ inconclusive"}
MAX_CELL = 160


def markdown(report: GateReport, *, cases: int = 20) -> str:
    """The report, with at most `cases` of the cases that did not pass."""
    run = report.experiment
    title = f"## evalspan gate: {MARKS[report.verdict]}"
    facts = [f"dataset `{run['dataset']}` v{run['dataset_version']} (`{run['dataset_hash'][:12]}`)"]
    facts.append(f"target `{run['target']['target']}`")
    facts += [f"model `{report.model}`"] if report.model else []
    facts += [f"prompt version `{report.prompt_version}`"] if report.prompt_version else []
    facts += [f"commit `{run['git_sha'][:12]}`"] if run["git_sha"] else []
    parts = [title, " · ".join(facts)]
    if report.reasons:
        parts.append("\n".join(_reason(reason) for reason in report.reasons))
    if report.partitions:
        parts.append(_partitions(report))
        parts += [_what_it_means(report)]
    if report.comparisons:
        parts.append(_comparisons(report))
    parts += _cases(report, cases)
    if report.notes:
        parts.append("\n".join(f"> {cell(note)}" for note in report.notes))
    parts.append(_profile(run["profile"]))
    return "\n\n".join(part for part in parts if part) + "\n"


def bound_in_words(summary: PartitionSummary) -> str:
    """What a perfect pass rate still allows (B19), '' when it is not perfect."""
    if summary.failure_bound is None:
        return ""
    return (
        f"{summary.passed} of {summary.total} passed; the true failure rate may still be "
        f"{summary.failure_bound:.1%} (one-sided 95 %)"
    )


def percent(rate: float | None) -> str:
    """A rate for people; nothing measured is not 0 %."""
    return "–" if rate is None else f"{rate:.1%}"


def cell(text: object) -> str:
    """One line that cannot break a table."""
    return markdown_cell(text, MAX_CELL)


def _reason(reason: Reason) -> str:
    fix = f" Fix: `{cell(reason.hint)}`" if reason.hint else ""
    return f"- **{reason.verdict}** ({reason.code}): {cell(reason.message)}.{fix}"


def _partitions(report: GateReport) -> str:
    rows = [
        "| partition | verdict | passed | failed | unmeasured | pass rate | avg ms | p95 ms |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, one in report.partitions.items():
        average, tail = (
            f"{value:,.0f}" if value is not None else "–" for value in (one.avg_latency_ms, one.p95_latency_ms)
        )
        rows.append(
            f"| {name} | {MARKS[one.verdict]} | {one.passed}/{one.total} | {one.failed} | {one.inconclusive} "
            f"| {percent(one.pass_rate)} | {average} | {tail} |"
        )
    return "\n".join(rows)


def _what_it_means(report: GateReport) -> str:
    first = next(iter(report.partitions.values()))
    bounds = [f"{name}: {bound_in_words(one)}" for name, one in report.partitions.items() if bound_in_words(one)]
    return "\n".join([f"A case passes when: {cell(first.pass_means)}.", *(f"- {bound}" for bound in bounds)])


def _comparisons(report: GateReport) -> str:
    rows = [
        f"Against the baseline `{report.baseline}` (paired, candidate − baseline, 90 % interval = one-sided 95 % bounds):",
        "",
        "| partition | metric | n | baseline | candidate | difference | margin | conclusion |",
        "|---|---|--:|--:|--:|---|--:|---|",
    ]
    for name, compared in report.comparisons.items():
        rows += [_comparison(name, one) for one in compared]
    return "\n".join(rows)


def _comparison(name: str, one: dict[str, Any]) -> str:
    low, high = one["interval"]
    margin = f"{one['margin']:g}" if one["margin"] is not None else "none"
    return (
        f"| {name} | {cell(one['metric'])} | {one['n']} | {one['baseline_mean']:.3f} | {one['candidate_mean']:.3f} "
        f"| {one['difference']:+.3f} [{low:+.3f}, {high:+.3f}] | {margin} | {one['conclusion']}: {cell(one['reason'])} |"
    )


def _cases(report: GateReport, most: int) -> list[str]:
    bad = [result for result in report.results if result.status != "passed"]
    if not bad:
        return []
    rows = ["| case | partition | what happened | root cause |", "|---|---|---|---|"]
    rows += [
        f"| {cell(one.example_id)} | {one.partition} | {one.status}: {cell(one.failure_reason)} | {cell(one.root_cause)} |"
        for one in bad[:most]
    ]
    if len(bad) > most:
        rows.append(f"| … {len(bad) - most} more | | | |")
    return ["\n".join(rows)]


def _profile(profile: dict[str, float]) -> str:
    spent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in list(profile.items())[:6])
    return f"Time, summed over the cases: {spent}." if spent else ""
