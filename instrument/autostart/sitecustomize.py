"""Runs when an interpreter starts with this folder on its path: `init()` by the variables, then what it hides."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path

_HERE = Path(__file__).parent


def _start() -> None:
    try:
        from evalspan.instrument.start import init

        init()
    except Exception as error:  # noqa: BLE001 - an interpreter of another environment starts as it would without us
        sys.stderr.write(f"evalspan: tracing is off in this process: {error}\n")


def _run_the_hidden_one() -> None:
    """Python imports one `sitecustomize` only; the environment's own comes after ours."""
    path = [place for place in sys.path if not place or Path(place).resolve() != _HERE.resolve()]
    spec = PathFinder.find_spec("sitecustomize", path)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(module_from_spec(spec))


if __name__ == "sitecustomize":  # not where somebody imports this file as a part of evalspan
    _start()
    _run_the_hidden_one()
