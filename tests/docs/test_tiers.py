"""The pages on process: the tiers, the loop between them and the settings they name exist as the pages say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click import Command

from evalspan.collector.config import load_config
from evalspan.collector.sampling.config import SamplingConfig
from evalspan.evaluators.calibration.annotation import WEEKLY
from evalspan.evaluators.cli.annotate import annotate
from evalspan.evaluators.cli.calibrate import calibrate_command
from evalspan.evaluators.cli.gate import gate

DOCS = Path(__file__).parents[2] / "docs"


def section(page: str, heading: str) -> str:
    """What stands under a heading, up to the next one."""
    return re.split(r"\n## ", (DOCS / page).read_text().partition(f"## {heading}\n")[2])[0]


def flags(command: Command) -> set[str]:
    return {flag for parameter in command.params for flag in parameter.opts}


def test_a08_a09_a10_a11_each_tier_has_its_moment_its_command_and_its_budget() -> None:
    commit, daily, always = [
        line for line in section("ci.md", "Which tier when").splitlines() if line.startswith("| ")
    ][2:]
    assert commit.startswith("| every commit | `--partition golden --partition regression` | 5 minutes")
    assert daily.startswith("| daily, and before a release | everything, with `--baseline` | 20 minutes")
    assert "evalspan serve" in always
    assert "evalspan export failures" in always
    named = set(re.findall(r"--[a-z-]+", commit + daily))
    assert named <= flags(gate)
    defaults = {parameter.opts[0]: parameter.default for parameter in gate.params}
    assert (defaults["--golden-budget"], defaults["--budget"]) == (300, 1200)


def test_a13_the_front_page_draws_the_loop_in_the_order_in_which_it_runs() -> None:
    drawing = (DOCS.parent / "README.md").read_text().partition("## Two commands")[0]
    places = [drawing.index(word) for word in ("app --", "collector", "evaluators", "SQL: drift")]
    assert places == sorted(places)
    assert re.search(r"CI gate <-+ regression cases <-+ failures", drawing)


def test_p03_the_walk_with_stakeholders_is_three_people_on_one_draw() -> None:
    walk = next(
        part for part in (DOCS / "calibration.md").read_text().split("\n## ") if part.startswith("Before a metric")
    )
    lines = re.findall(r"^evalspan annotate .*$", walk, re.MULTILINE)
    assert len({re.sub(r"--author \S+", "", line) for line in lines}) == 1
    assert len(lines) == 3
    assert f"{WEEKLY} real calls" in walk
    assert set(re.findall(r"(?<= )--[a-z-]+", walk)) <= flags(annotate) | flags(calibrate_command)


def test_s01_the_page_on_sampling_gives_the_reason_for_keeping_all_and_the_one_setting_for_five_percent(
    tmp_path: Path,
) -> None:
    opening = (DOCS / "sampling.md").read_text().partition("```toml")[0]
    assert "By default everything is kept: " in opening
    table, setting = re.search(r"`(\[sampling\]) (mode = \"tail\")`", opening).groups()  # type: ignore[union-attr]
    (tmp_path / "evalspan.toml").write_text(f"{table}\n{setting}\n")
    assert load_config(tmp_path / "evalspan.toml", {}).sampling.base_rate == 0.05
    assert SamplingConfig().base_rate == 1.0


@pytest.mark.parametrize("gamed", ["copying the source raises ROUGE", "agreeing with the user raises thumbs-up"])
def test_a06_the_page_on_metrics_says_how_proxies_are_gamed(gamed: str) -> None:
    assert gamed in section("evaluators.md", "Which metric")


def test_p07_each_pitfall_on_the_page_has_a_detector_that_says_those_words() -> None:
    rows = [line.split(" | ") for line in section("calibration.md", "Pitfalls, and what tells you").splitlines()]
    words = [row[2].strip("` |") for row in rows if len(row) == 3][2:]
    source = "\n".join(path.read_text() for path in (DOCS.parent / "evaluators").rglob("*.py"))
    said = re.sub(r'"\s*\n\s*f?"', "", source)  # a message that goes over two lines
    assert len(words) == 7
    assert [one for one in words if one not in said] == []
