"""By what an evaluator judges, in words: written beside its scores, so that people who label judge by the same."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..queries.plain_json import plain_text
from .contract import Evaluator, unit_of

if TYPE_CHECKING:
    from ..queries.store.protocol import StoreClient

MAX_RUBRIC = 20_000
"""Characters of a rubric that are kept."""


def rubric_of(evaluator: Any) -> str:
    """The evaluator's own `rubric` if it has one, as judges do, else its docstring; empty without either."""
    own = getattr(evaluator, "rubric", "")
    text = own if isinstance(own, str) and own else inspect.getdoc(evaluator) or ""
    return plain_text(text)[:MAX_RUBRIC]


class RubricWriter:
    """Writes the rubric of each evaluator once for each project and version; rows are replaced by equal ones."""

    def __init__(self, store: StoreClient) -> None:
        self._store = store
        self._written: set[tuple[str, str, str]] = set()

    def write(self, projects: Iterable[str], suite: Iterable[Evaluator]) -> None:
        """Writes what was not written before by this writer. Raises StoreError when the store cannot be reached."""
        new = {(project, one.name, one.version): one for project in projects for one in suite}
        rows = [
            {
                "project": project,
                "name": name,
                "evaluator_version": version,
                "unit": unit_of(one),
                "direction": one.direction,
                "threshold": one.threshold,
                "rubric": rubric_of(one),
            }
            for (project, name, version), one in new.items()
            if (project, name, version) not in self._written
        ]
        if rows:
            self._store.insert("evaluator_rubrics", rows)
            self._written |= new.keys()
