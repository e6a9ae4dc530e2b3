"""Which frameworks `init` is asked to trace: from its argument, else from EVALSPAN_FRAMEWORKS."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ...errors import UsageError
from .table import BY_NAME, FRAMEWORKS, Framework

VARIABLE = "EVALSPAN_FRAMEWORKS"
FrameworksOption = str | Iterable[str] | bool | None
_ALL = ("auto", "true", "all")
_NONE = ("false", "none", "")


def select(option: FrameworksOption) -> list[Framework]:
    """The frameworks that are meant; UsageError for one that is not known."""
    if option == "auto" or option is None:
        option = os.environ.get(VARIABLE, "auto")
    if isinstance(option, bool):
        return list(FRAMEWORKS) if option else []
    if isinstance(option, str):
        if option.strip().lower() in _ALL:
            return list(FRAMEWORKS)
        if option.strip().lower() in _NONE:
            return []
        option = option.split(",")
    return [_named(name) for name in option]


def _named(name: str) -> Framework:
    found = BY_NAME.get(str(name).strip().lower().replace("_", "-"))
    if found is None:
        raise UsageError(f"frameworks={name!r} is not known.", hint=f"There are {', '.join(BY_NAME)}.")
    return found
