"""`python -m benchmarks.overhead.frameworks`: what the instrumentor of each framework costs beside our own part."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import click

from .__main__ import DOCUMENT, FRAMEWORKS_BEGIN
from .environments import ROOT, Contestant, python_of

MODES = ("alone", "ours only", "with its instrumentor")
FRAMEWORKS = (
    Contestant("LangChain", ("langchain", "langchain-openai", f"{ROOT}[langchain]"), environment="langchain"),
    Contestant("OpenAI Agents", ("openai-agents", f"{ROOT}[openai-agents]"), environment="openai-agents"),
    Contestant("Pydantic AI", ("pydantic-ai-slim[openai]", f"{ROOT}[pydantic-ai]"), environment="pydantic-ai"),
    Contestant("LiteLLM", ("litellm", f"{ROOT}[litellm]"), environment="litellm"),
)


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Each framework runs once a round in each mode, in turn.")
@click.option("--envs", default=str(Path.home() / ".cache" / "evalspan-overhead"), help="Where the environments are.")
@click.option("--no-write", is_flag=True, help="Do not write docs/benchmarks-overhead.md.")
def main(rounds: int, envs: str, no_write: bool) -> None:
    """Measures one call of 1 KB through each framework, in microseconds of processor time of its thread."""
    pythons = {one.name: python_of(one, Path(envs), reinstall=True) for one in FRAMEWORKS}
    least: dict[tuple[str, str], float] = {}
    by: dict[str, str] = {}
    for number in range(rounds):
        for name, python in pythons.items():
            for mode in MODES[:: 1 if number % 2 == 0 else -1]:
                print(f"round {number + 1}/{rounds}: {name}, {mode}", file=sys.stderr)
                found = run_once(name, mode, python)
                least[name, mode] = min(least.get((name, mode), float("inf")), found["us"])
                by[name] = found["by"] or by.get(name, "")
    text = section(least, by, rounds)
    print(text)
    if not no_write:
        write(text)


def run_once(name: str, mode: str, python: Path) -> dict[str, float | str]:
    """One process of one framework in one mode; CalledProcessError, with its complaint on stderr, when it breaks."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "OTEL_"))}
    command = [str(python), "-m", "overhead.framework_worker", name, mode]
    done = subprocess.run(
        command, cwd=ROOT / "benchmarks", env=environment, stdout=subprocess.PIPE, text=True, timeout=600, check=True
    )
    found: dict[str, float | str] = json.loads(done.stdout.splitlines()[-1])
    return found


def section(least: dict[tuple[str, str], float], by: dict[str, str], rounds: int) -> str:
    """The table in Markdown."""
    lines = [
        "| | alone | our part adds | with its instrumentor | traced by |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for framework in FRAMEWORKS:
        alone, ours, both = (least[framework.name, mode] for mode in MODES)
        lines.append(
            f"| {framework.name} | *{alone:.0f}* | {ours - alone:.0f} | {both - alone:.0f} | {by[framework.name]} |"
        )
    return "\n".join(
        [
            "## Microseconds added by a framework's instrumentor",
            "",
            "Made by `python -m benchmarks.overhead.frameworks`: one call of 1 KB through the framework, as above, in a process each:",
            "without evalspan, with `init(frameworks=False)`, and with `init()`, which switches the framework's instrumentor (or its",
            f"own tracing) on. {rounds} interleaved rounds of which the least counts; {date.today().isoformat()}.",  # noqa: DTZ011
            "",
            *lines,
        ]
    )


def write(text: str) -> None:
    """Puts the section at the end of the document, in the place of the last one."""
    before = DOCUMENT.read_text().partition(FRAMEWORKS_BEGIN)[0]
    DOCUMENT.write_text(f"{before.rstrip()}\n\n{FRAMEWORKS_BEGIN}\n{text}\n")


if __name__ == "__main__":
    main()
