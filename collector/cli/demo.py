"""`evalspan demo`: the main job as a story, on a real local model."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import click


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("evalspan-demo"),
    show_default=True,
    help="Where the store, the cases and the reports go.",
)
@click.option("--minutes", default=5.0, show_default=True, type=click.FloatRange(1, 60), help="How long it may take.")
@click.option("--fresh", is_flag=True, help="Start over instead of going on where an earlier run was cut short.")
@click.option("--agent", is_flag=True, help="The other story: an agent whose tools change under its prompt.")
@click.pass_context
def demo(ctx: click.Context, folder: Path, minutes: float, fresh: bool, agent: bool) -> None:
    """Two weeks of a support assistant in minutes: traffic, drift, failures, regression cases, gate.

    Needs no account, no key and no network: SmolLM2 answers on this machine's CPU. OPENAI_BASE_URL, OPENAI_API_KEY and
    OPENAI_MODEL name another model. Exit codes: 0 the story was told, whatever it showed; 130 interrupted.
    """
    from rich.console import Console

    if agent:
        _tell_of_the_agent(folder / "agent")
        return
    from ..demo.report import print_story
    from ..demo.state import StateFile
    from ..demo.story import Interrupted, Story

    if fresh and (folder / "state.json").exists():
        shutil.rmtree(folder)
    talk = Console(stderr=True)
    began = time.monotonic()
    try:
        found = Story(folder, minutes, talk).tell().found
    except Interrupted:
        talk.print(f"interrupted; everything so far is in {folder}: the same command goes on from there")
        ctx.exit(130)
    state = StateFile(folder).load()
    assert state is not None
    print_story(Console(), found, state, (time.monotonic() - began) / 60)


def _tell_of_the_agent(folder: Path) -> None:
    """Always from the start: the story is short."""
    from rich.console import Console

    from ..demo.agent_story import print_agent_story, tell_agent_story

    if (folder / "store").exists():
        shutil.rmtree(folder)
    began = time.monotonic()
    found = tell_agent_story(folder, Console(stderr=True))
    print_agent_story(Console(), found, folder, (time.monotonic() - began) / 60)
