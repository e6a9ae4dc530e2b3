"""How much work a statement can be before anything runs: the engine plans without a time limit, so its size is bounded.

The limits are far above what people and tools write, and low enough that planning ends within seconds.
"""

from __future__ import annotations

import re

from .syntax_tree import Node, refused
from .tokens import Token, tokenize

MAX_NODES = 20_000
MAX_SELECTS = 200
MAX_DEPTH = 250
# A common table expression is planned anew wherever it is named.
MAX_EXPANDED_SELECTS = 400
MAX_WIDTH = 10_000

_SELECTS = {"SelectQuery"}
_PRINTF_WIDTH = re.compile(r"%[^a-zA-Z%]*(\*|\d{5,})")


def check_size(sql: str, tree: list[Node]) -> None:
    """Raises QueryError, code 497, for a statement that would take long to plan, or whose texts would grow huge."""
    if len(tree) > MAX_NODES:
        raise refused(f"The statement has {len(tree)} parts; {MAX_NODES} are allowed.")
    selects = sum(node.kind in _SELECTS for node in tree)
    if selects > MAX_SELECTS:
        raise refused(f"The statement has {selects} SELECTs; {MAX_SELECTS} are allowed.")
    if max(node.depth for node in tree) > MAX_DEPTH:
        raise refused(f"The statement is nested deeper than {MAX_DEPTH} levels.")
    if _expanded_selects(sql, tree) > MAX_EXPANDED_SELECTS:
        raise refused(
            f"Its common table expressions name each other so often that more than {MAX_EXPANDED_SELECTS} SELECTs result."
        )
    _check_printf(tree)


def _expanded_selects(sql: str, tree: list[Node]) -> int:
    """How many SELECTs there are when each common table expression is written out wherever it is named."""
    bodies = [place for place, node in enumerate(tree) if node.kind == "WithElement"]
    if not bodies:
        return 0
    names = _with_names(tokenize(sql))
    exact = len(names) == len(bodies)
    cost: dict[str, int] = {}
    most = 1
    for number, place in enumerate(bodies):
        expanded = _cost(tree, place, cost, most, exact=exact)
        most = max(most, expanded)
        if exact:
            cost[names[number]] = max(expanded, cost.get(names[number], 0))
        if most > MAX_EXPANDED_SELECTS:
            return most
    return _cost(tree, 0, cost, most, exact=exact)


def _cost(tree: list[Node], place: int, cost: dict[str, int], most: int, *, exact: bool) -> int:
    """The SELECTs below one node; where names cannot be told apart, each table counts as the dearest."""
    total, depth = 1, tree[place].depth
    beside = None  # the depth of a table's own body, which costs nothing where it only stands
    for node in tree[place + 1 :]:
        if node.depth <= depth:
            break
        if beside is not None and node.depth > beside:
            continue
        beside = node.depth if node.kind == "WithElement" else None
        if node.kind in ("TableIdentifier", "Identifier") and "." not in node.text:
            total += cost.get(node.text, 0) if exact else (most if node.kind == "TableIdentifier" else 0)
    return total


def _with_names(tokens: list[Token]) -> list[str]:
    """The names of common table expressions in the order of their beginnings: `name AS [MATERIALIZED] (SELECT`."""
    solid = [token for token in tokens if token.kind != "blank"]
    found = []
    for place, token in enumerate(solid[:-2]):
        if not token.name or solid[place + 1].text.upper() != "AS":
            continue
        rest = [each.text.upper() for each in solid[place + 2 : place + 8]]
        if rest[:1] == ["MATERIALIZED"]:
            rest = rest[1:]
        while rest[:2] == ["(", "("]:
            rest = rest[1:]
        if rest[:1] == ["("] and rest[1:2] and rest[1] in ("SELECT", "WITH", "FROM", "VALUES"):
            found.append(token.name)
    return found


def _check_printf(tree: list[Node]) -> None:
    """`printf` writes a number as wide as its format says, whatever the memory limit."""
    for place, node in enumerate(tree):
        if node.kind != "Function" or node.text.lower() != "printf":
            continue
        first = tree[place + 2] if place + 2 < len(tree) else node
        if first.kind != "Literal" or _PRINTF_WIDTH.search(first.text):
            raise refused(f"printf needs a format that is a literal, without `*` and widths of {MAX_WIDTH} and more.")
