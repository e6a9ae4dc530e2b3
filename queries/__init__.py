"""Everything that is SQL: the store's client, its schema, the named queries, drift, exports."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .catalog import get as named_query
    from .store.client import open_store

# Loaded when they are first used: commands that need no store stay quick.
_HOMES = {"named_query": ("catalog", "get"), "open_store": ("store.client", "open_store")}
__all__ = ["named_query", "open_store"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    home, attribute = _HOMES[name]
    return getattr(import_module(f".{home}", __name__), attribute)
