"""The filters of an address: chips such as `region=eu-west-1`, read into conditions and written back into links."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..queries.span_conditions import FAILED, SEGMENT, Condition, parse

if TYPE_CHECKING:
    from .page_context import PageContext

KEYS = (
    "name", "model", "operation", "version", "hash", "status", "error", "tool", "agent", "session", "user", "q", FAILED, SEGMENT,
)  # fmt: skip
"""Parameters that are a filter by themselves: `model=gpt-5` is `where=model=gpt-5`, shorter."""
OTHERS = ("attribute", "slower_ms")
WHERE = "where"


@dataclass(frozen=True)
class Chip:
    """A filter as a page shows it, and the address without it."""

    text: str
    name: str
    value: str


def chips(context: PageContext) -> list[Chip]:
    """The filters in the address, in the order of the parameters."""
    found = []
    for name, value in context.request.query.items():
        if not value:
            continue
        if name == WHERE or name == "attribute":
            found.append(Chip(value, name, value))
        elif name == "slower_ms":
            found.append(Chip(f"slower than {value} ms", name, value))
        elif name in KEYS:
            found.append(Chip(f"{name}: {value}", name, value))
    return found


def conditions(context: PageContext, *, without: str = "") -> list[Condition]:
    """The filters of the address as conditions; `without` leaves one facet's own filter out. Raises UsageError."""
    found = []
    for chip in chips(context):
        if chip.name in {WHERE, "attribute"}:
            found.append(parse(chip.value))
        elif chip.name == "slower_ms":
            with contextlib.suppress(ValueError):
                found.append(Condition("duration_ms", ">=", str(max(0.0, float(chip.value)))))
        elif chip.name != without:
            found.append(Condition(chip.name, "=", chip.value))
    return found


def kept(context: PageContext) -> dict[str, Any]:
    """The filters as parameters of a link; several `where` are a list."""
    found: dict[str, Any] = {}
    for chip in chips(context):
        if chip.name == WHERE:
            found.setdefault(WHERE, []).append(chip.value)
        else:
            found[chip.name] = chip.value
    return found


def removed(context: PageContext, chip: Chip) -> str:
    """The page's address without one chip."""
    params = all_params(context)
    if chip.name == WHERE:
        params[WHERE] = [value for value in params.get(WHERE, []) if value != chip.value]
    else:
        params.pop(chip.name, None)
    return context.filters.url(context.request.path, **{**params, "skip": ""})


def added(context: PageContext, path: str, text: str) -> str:
    """The address of `path` with one more filter."""
    params = kept(context)
    params[WHERE] = [*params.get(WHERE, []), text]
    return context.filters.url(path, **params)


def all_params(context: PageContext) -> dict[str, Any]:
    """Every parameter of the address, `where` as a list."""
    params: dict[str, Any] = dict(context.request.query)
    if WHERE in params:
        params[WHERE] = context.request.query.getall(WHERE)
    return params
