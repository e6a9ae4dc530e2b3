"""Functions of a framework that are replaced where its instrumentor leaves something out, and put back at the end."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any


class Patches:
    """Replaced attributes; `restore` puts back those that nobody has replaced since."""

    def __init__(self) -> None:
        self._placed: list[tuple[Any, str, Any, Any]] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing is replaced."""
        return not self._placed

    def wrap(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Replaces `owner.name` by what `make` makes of it; nothing where it does not exist."""
        original = vars(owner).get(name) if isinstance(owner, type) else getattr(owner, name, None)
        if original is None:
            return
        made = make(original)
        # A function that is there already, such as one of wrapt's, is not changed by being put in place.
        placed = wraps(original)(made) if type(made) is FunctionType else made
        setattr(owner, name, placed)
        self._placed.append((owner, name, original, placed))

    def restore(self) -> None:
        """Puts everything back."""
        while self._placed:
            owner, name, original, placed = self._placed.pop()
            current = vars(owner).get(name) if isinstance(owner, type) else getattr(owner, name, None)
            if current is placed:
                setattr(owner, name, original)
