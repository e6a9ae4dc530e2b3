"""Environments of their own for tests that need other packages than ours: made once, from the package index.

Where one cannot be made the test is skipped, which fails where EVALSPAN_NO_SKIPS is set, as in CI.
"""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = Path(tempfile.gettempdir()) / f"evalspan-environments-{getpass.getuser()}"
INSTALL_TIMEOUT_S = 280
_BEFORE_ANY_TEST = dict(os.environ)  # a test's variables, such as certificates of its own, are not for the installer


def environment(name: str, *packages: str) -> Path:
    """The interpreter of an environment with these packages and what our instrumentation depends on."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *packages]
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    folder = ENVIRONMENTS / f"{name}-{version}-{hashlib.sha256(repr(wanted).encode()).hexdigest()[:8]}"
    python = folder / "bin" / "python"
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker may be making it
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            try:
                _make(folder, wanted)
            except (OSError, subprocess.SubprocessError) as error:
                said = getattr(error, "stderr", None) or b""
                pytest.skip(
                    f"the environment {name} cannot be made here: {error} {said[-500:].decode(errors='replace')}"
                )
            (folder / "ready").touch()
    return python


def variables(**more: str) -> dict[str, str]:
    """The variables of a process in such an environment, where `import evalspan` is this working tree."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "EVALSPAN_", "PYTHON"))}
    return {**kept, "PYTHONPATH": str(ROOT / ".types"), **more}


def _make(folder: Path, packages: list[str]) -> None:
    try:
        _make_with_uv(folder, packages)
    except (OSError, subprocess.SubprocessError):  # an index that only pip is set up for
        shutil.rmtree(folder, ignore_errors=True)
        _run(sys.executable, "-m", "venv", str(folder))
        _run(str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages)


def _make_with_uv(folder: Path, packages: list[str]) -> None:
    """In a tenth of pip's processor time; a run of all tests makes eight environments on a fresh machine."""
    uv, python = str(Path(sys.executable).with_name("uv")), str(folder / "bin" / "python")
    _run(uv, "venv", "--quiet", "--python", sys.executable, str(folder))
    _run(uv, "pip", "install", "--quiet", "--prerelease", "if-necessary-or-explicit", "--python", python, *packages)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_TIMEOUT_S, env=_BEFORE_ANY_TEST)
