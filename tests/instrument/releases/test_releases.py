"""The matrix and the endings once more with older SDKs: the oldest that docs/instrumentation.md names, and one between.

Their private names differ (`_retry_request`, no `_sleep_for_retry`; httpx, not httpx2; no native tracing).
"""

from __future__ import annotations

import re
import subprocess

import pytest

from ...environments import ROOT, environment, variables

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RUNNER = ("pytest>=9", "pytest-asyncio>=1", "pytest-timeout>=2", "jsonschema>=4", "boto3>=1.35")
RELEASES = {
    "oldest": ("openai==1.66.0", "anthropic==0.49.0", "httpx<0.28"),
    "middle": ("openai==2.54.0", "anthropic==0.125.0"),
}


@pytest.mark.parametrize("name", RELEASES)
def test_every_surface_that_an_older_release_has_is_traced(name: str) -> None:
    python = environment(name, *RELEASES[name], *RUNNER)
    tests = ["tests/instrument/test_matrix.py", "tests/instrument/test_endings.py"]
    if name == "oldest":  # it has no streams of media, and a test without parameters would count as skipped
        tests += [
            "--deselect",
            "tests/instrument/test_endings.py::test_media_that_is_let_go_half_way_is_recorded_as_far_as_it_came",
        ]
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:warnings", "--tb=short", *tests],
        cwd=ROOT,
        env=variables(),
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed.group(1)) > 400, done.stdout[-500:]
    assert "skipped" not in done.stdout.splitlines()[-1]


def test_the_oldest_release_is_the_one_that_the_documentation_names() -> None:
    text = (ROOT / "docs" / "instrumentation.md").read_text()
    named = re.search(r"openai (\d+\.\d+) and newer, anthropic (\d+\.\d+) and newer", text)
    assert named is not None
    assert [f"openai=={named.group(1)}.0", f"anthropic=={named.group(2)}.0"] == list(RELEASES["oldest"][:2])
