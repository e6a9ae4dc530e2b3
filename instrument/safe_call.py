"""The one way in which tracing steps are called from the app's calls: a fault of ours stays ours."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)


def safe_call(function: Callable[..., Any], *args: Any) -> Any:
    """The function's result, None when it failed: a fault of ours is logged for us and hidden from the app."""
    try:
        return function(*args)
    except Exception:
        log.debug("a tracing step failed", exc_info=True)
        return None
