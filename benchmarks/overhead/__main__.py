"""`python -m benchmarks.overhead`: interleaved rounds over all contestants, a table, and the distance to the targets."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path
from statistics import quantiles

import click

from .environments import CONTESTANTS, OURS, ROOT, Contestant, python_of

DOCUMENT = ROOT / "docs" / "benchmarks-overhead.md"
FRAMEWORKS_BEGIN = "<!-- frameworks: begin -->"  # from here on `python -m benchmarks.overhead.frameworks` writes
BASELINE, BARE = "none", "bare span"
CALL_CASES = ("chat 1 KB", "chat 32 KB", "async chat 1 KB", "responses", "embeddings", "messages", "async messages")
CHUNK_CASES = (
    "chat chunk",
    "async chat chunk",
    "chat helper chunk",
    "messages chunk",
    "async messages chunk",
    "messages helper chunk",
)
SWITCH_CASES = ("switch on, ms", "switch on, MB")
SPREAD_CASES = ("chat 1 KB", "chat 32 KB", "chat chunk", "messages chunk", "switch on, ms")
# case -> the most that it may cost: by itself, as a multiple of the bare span, as a share of the best public
# instrumentation, both of the same run. Machines differ by a factor of two, so calls are held to ratios.
TARGETS: dict[str, tuple[float | None, float | None, float | None]] = {
    "chat 1 KB": (None, 1.25, 0.35),
    "chat 32 KB": (None, 1.25, 0.5),
    **dict.fromkeys(CHUNK_CASES, (1.5, None, None)),
    "switch on, ms": (15.0, None, None),
    "switch on, MB": (2.0, None, None),
}
Numbers = dict[str, dict[str, float]]


@click.command()
@click.option("--rounds", default=7, show_default=True, help="Each contestant runs once a round, in turn.")
@click.option("--envs", default=str(Path.home() / ".cache" / "evalspan-overhead"), help="Where the environments are.")
@click.option("--only", multiple=True, help="Only these contestants, and the baseline.")
@click.option("--no-write", is_flag=True, help="Do not write docs/benchmarks-overhead.md.")
def main(rounds: int, envs: str, only: tuple[str, ...], no_write: bool) -> None:
    """Measures what each instrumentation adds to a call, in microseconds of the calling thread's CPU."""
    wanted = [c for c in CONTESTANTS if not only or c.name in only or c.name in (BASELINE, OURS)]
    pythons = prepared(wanted, Path(envs))
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in pythons}
    for number in range(rounds):
        # To and fro: what warms up or slows down over time then falls on nobody in particular.
        for name, python in list(pythons.items())[:: 1 if number % 2 == 0 else -1]:
            print(f"round {number + 1}/{rounds}: {name}", file=sys.stderr)
            if (found := run_once(name, python)) is not None:
                runs[name].append(found)
    runs = {name: found for name, found in runs.items() if found}
    text = report(runs, rounds)
    print(text)
    if not no_write:
        kept = DOCUMENT.read_text().partition(FRAMEWORKS_BEGIN)[2] if DOCUMENT.exists() else ""
        DOCUMENT.write_text(f"{text}\n\n{FRAMEWORKS_BEGIN}{kept}" if kept else f"{text}\n")


def prepared(contestants: list[Contestant], envs: Path) -> dict[str, Path]:
    """The interpreters of all environments that can be made; the others are named and left out."""
    found: dict[str, Path] = {}
    for contestant in contestants:
        try:
            found[contestant.name] = python_of(contestant, envs)
        except subprocess.CalledProcessError as error:
            print(f"{contestant.name} cannot be installed here ({error}); left out", file=sys.stderr)
    return found


def run_once(name: str, python: Path) -> dict[str, float] | None:
    """One process of one contestant; None, and its complaint on stderr, when it breaks."""
    command = [str(python), "-m", "overhead.worker", name]
    # Compiled code is where pip put it, for everyone.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "OTEL_"))}
    done = subprocess.run(
        command, cwd=ROOT / "benchmarks", env=environment, capture_output=True, text=True, timeout=1200, check=False
    )
    try:
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        print(f"{name} broke: {done.stderr[-800:]}", file=sys.stderr)
        return None
    return found


def least(found: list[dict[str, float]]) -> dict[str, float]:
    """The least of each number over the rounds: whatever else the machine did only adds."""
    return {case: min(run[case] for run in found) for case in found[0]}


def added(runs: dict[str, list[dict[str, float]]]) -> Numbers:
    """What each contestant adds to the baseline: the difference of the least of all rounds."""
    baseline = least(runs[BASELINE])
    numbers: Numbers = {}
    for name, found in runs.items():
        mine = least(found)
        numbers[name] = {case: mine[case] - (0 if case in SWITCH_CASES else baseline[case]) for case in mine}
    return numbers


def per_round(runs: dict[str, list[dict[str, float]]], name: str, case: str) -> list[float]:
    """What a contestant added in each of its rounds."""
    baseline = [0.0] * len(runs[name]) if case in SWITCH_CASES else [run[case] for run in runs[BASELINE]]
    return [mine[case] - base for mine, base in zip(runs[name], baseline, strict=False)]


def report(runs: dict[str, list[dict[str, float]]], rounds: int) -> str:
    """The document: the tables, and what they say of the targets."""
    numbers, baseline = added(runs), least(runs[BASELINE])
    load = os.getloadavg()[2]
    machine = f"{os.cpu_count()} cores under a load of {load:.1f}, {platform.machine()}, Python {platform.python_version()}, {date.today().isoformat()}"  # noqa: DTZ011
    return "\n".join(
        [
            "# What tracing costs the app",
            "",
            "Made by `python -m benchmarks.overhead`: in-process transport, content captured, a batch processor with an",
            f"exporter that drops, CPU time of the calling thread, {rounds} interleaved rounds of which the least counts,",
            f"less the same for the uninstrumented SDK ({machine}). The anthropic SDK's own spans are off.",
            "A load above the number of cores makes differences of a hundred microseconds between equal runs: repeat it idle.",
            "",
            "## Microseconds added to a call",
            "",
            *table(numbers, baseline, CALL_CASES, 0),
            "",
            "## Microseconds added to a chunk of a stream",
            "",
            *table(numbers, baseline, CHUNK_CASES, 1),
            "",
            "## Switching on, beyond the SDKs and OpenTelemetry",
            "",
            "Import and instrument, in a process that has imported both SDKs and made a tracer provider already.",
            "",
            *table(numbers, {}, SWITCH_CASES, 1),
            "",
            "## Against the targets",
            "",
            *verdicts(numbers),
            "",
            "## How far the rounds lie apart",
            "",
            "Median of the rounds, and their lower and upper quartile in brackets, each round less the baseline of the same",
            "round. Two contestants whose brackets overlap cannot be told apart.",
            "",
            *spread(runs),
        ]
    )


def table(numbers: Numbers, baseline: dict[str, float], cases: tuple[str, ...], digits: int) -> list[str]:
    """One Markdown table, ours first, the others by what they cost in the first column."""
    lines = [f"| | {' | '.join(cases)} |", "| --- |" + " ---: |" * len(cases)]
    if baseline:
        lines.append(f"| *the SDK alone* | {' | '.join(f'*{baseline[case]:.{digits}f}*' for case in cases)} |")
    names = [name for name in numbers if name != BASELINE]
    for name in sorted(names, key=lambda name: (name != BARE, name != OURS, numbers[name][cases[0]])):
        cells = " | ".join(f"{numbers[name][case]:.{digits}f}" for case in cases)
        lines.append(f"| **{name}** | {cells} |" if name == OURS else f"| {name} | {cells} |")
    return lines


def spread(runs: dict[str, list[dict[str, float]]]) -> list[str]:
    """Median and quartiles over the rounds, for the cases that have targets."""
    lines = [f"| | {' | '.join(SPREAD_CASES)} |", "| --- |" + " ---: |" * len(SPREAD_CASES)]
    for name in runs:
        if name == BASELINE:
            continue
        cells = []
        for case in SPREAD_CASES:
            found = per_round(runs, name, case)
            low, middle, high = quantiles(found, n=4, method="inclusive") if len(found) > 1 else found * 3
            digits = 0 if case in CALL_CASES else 1
            cells.append(f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def verdicts(numbers: Numbers) -> list[str]:
    """Each target, what was measured, and whether it is reached."""
    lines = [
        "| | reached | at most | times the bare span | at most | of the best public one | at most | |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    public = [name for name in numbers if name not in (BASELINE, BARE, OURS)]
    for case, limits in TARGETS.items():
        ours = numbers[OURS][case]
        best = min((numbers[name][case] for name in public), default=0.0)
        compared = (None, numbers[BARE][case] if BARE in numbers else None, best)
        cells, met = [], True
        for most, base in zip(limits, compared, strict=True):
            reached = ours if base is None else ours / base if base > 0 else None
            met &= most is None or (reached is not None and reached <= most)
            shown = (
                ""
                if reached is None or (base is not None and most is None)
                else f"{reached:.{1 if base is None else 2}f}"
            )
            cells += [shown, f"{most:g}" if most is not None else ""]
        lines.append(f"| {case} | {' | '.join(cells)} | {'yes' if met else 'not yet'} |")
    return lines


if __name__ == "__main__":
    main()
