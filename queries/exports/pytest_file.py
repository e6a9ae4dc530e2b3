"""Cases as a pytest file with its JSONL beside it; evalspan's plugin asks the target and judges the answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ..atomic_write import jsonl, write_atomically

SOURCE = '''"""Regression cases from production failures. Yours to edit.

Run: pytest {name} --evalspan-target module:callable --evalspan-suite module:evaluators
"""

from pathlib import Path

import pytest


@pytest.mark.evalspan(dataset=Path(__file__).with_suffix(".jsonl"))
def test_regression(evalspan_case):
    evalspan_case.check()
'''


def write(path: Path, cases: Sequence[dict[str, Any]]) -> list[Path]:
    """Writes the test file and its JSONL. Raises UsageError for a name that pytest cannot import.

    Only test_*.py and *_test.py are found by themselves; another name has to be given to pytest.
    """
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise UsageError(f"pytest cannot import {path.name}", hint="--to test_regressions.py")
    data = path.with_suffix(".jsonl")
    write_atomically(data, jsonl(cases))
    write_atomically(path, SOURCE.format(name=path.name).encode())
    return [path, data]
