"""Runs the app of one framework in an environment of its own against the model server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from ..environments import environment, variables
from .catalog import CASES, JAVASCRIPT, packages_of
from .model_server import Runs
from .recording import Recording, scrubbed, steps_of

APPS = Path(__file__).with_name("apps")
TIMEOUT_S = 280


def interpreter(name: str) -> Path:
    """The interpreter of a framework's environment, made on first use."""
    return environment(f"framework-{name}", *packages_of(name))


def run_javascript(name: str, address: str, runs: Runs) -> Recording:
    """One recipe of JavaScript; npm installs what package.json names on first use."""
    folder = Path(__file__).with_name("javascript")
    stamp = folder / "node_modules" / ".package.json"
    wanted = (folder / "package.json").read_bytes()
    if not stamp.exists() or stamp.read_bytes() != wanted:
        subprocess.run(
            ["npm", "install", "--legacy-peer-deps", "--no-package-lock", "--no-audit", "--no-fund", "--silent"],
            cwd=folder,
            check=True,
            timeout=600,
        )
        stamp.write_bytes(wanted)
    run_name = f"{name}.one"
    done = subprocess.run(
        ["node", f"{name}.mjs"],
        env=variables(RUN=run_name, SERVER=address),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    steps, _ = steps_of(done.stdout)
    if done.returncode or not steps:
        raise RuntimeError(f"{name} ended with {done.returncode}: {done.stderr[-2000:]}")
    package = folder / "node_modules" / JAVASCRIPT[name].version_of / "package.json"
    version = json.loads(package.read_text())["version"]
    bodies = [scrubbed(body) for body in runs.exports.get(run_name, [])]
    return Recording(name, version, "one", {}, runs.requests.get(run_name, []), steps, [], bodies)


def run(name: str, mode: str, address: str, runs: Runs, **more: str) -> Recording:
    """One run; raises where the app itself cannot be run."""
    python, run_name = interpreter(name), f"{name}.{mode}"
    done = subprocess.run(
        [python, f"{name}_app.py"],
        env=variables(RUN=run_name, MODE=mode, SERVER=address, **more),
        cwd=APPS,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    steps, covered = steps_of(done.stdout)
    if done.returncode or not steps:
        raise RuntimeError(f"{name} in mode {mode} ended with {done.returncode}: {done.stderr[-2000:]}")
    code = f"import importlib.metadata as m; print(m.version({CASES[name].version_of!r}))"
    version = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    bodies = [scrubbed(body) for body in runs.exports.get(run_name, [])]
    return Recording(name, version, mode, covered, runs.requests.get(run_name, []), steps, [], bodies)
