"""Writes values into SQL text, for the places where ClickHouse takes no parameter."""

from __future__ import annotations


def literal(value: str | int) -> str:
    """A value as SQL reads it."""
    if isinstance(value, int):
        return str(value)
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
