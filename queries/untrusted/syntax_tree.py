"""The engine's own syntax tree of a statement, read from what EXPLAIN AST prints."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from ...errors import QueryError

ACCESS_DENIED = 497

_NODE = re.compile(r"^( *)(\S+)(?: (.*))?$")
_CHILDREN = re.compile(r" \(children (\d+)\)$")
_ALIAS = re.compile(r" \(alias (.*)\)$")


def refused(message: str) -> QueryError:
    """The error of everything that the gate does not let through."""
    return QueryError(
        message, hint="Only reading the store is possible here: docs/sql.md has the list.", code=ACCESS_DENIED
    )


class Node(msgspec.Struct, frozen=True):
    """One line of the tree: what it is, how deep, its text, its alias and how many children follow."""

    depth: int
    kind: str
    text: str
    alias: str
    children: int


def complete_tree(text: str) -> list[Node]:
    """The nodes of what EXPLAIN AST printed. Raises QueryError when it is not a whole tree."""
    tree = list(_nodes(text))
    if not _complete(tree):
        raise refused("The statement's syntax tree cannot be read: more than one FORMAT clause?")
    return tree


def _nodes(tree: str) -> Iterator[Node]:
    for line in tree.splitlines():
        found = _NODE.match(line)
        if found:
            text = f" {found.group(3) or ''}"
            children = _CHILDREN.search(text)
            text = text[: children.start()] if children else text
            alias = _ALIAS.search(text)
            yield Node(
                depth=len(found.group(1)),
                kind=found.group(2),
                text=(text[: alias.start()] if alias else text).strip(),
                alias=alias.group(1) if alias else "",
                children=int(children.group(1)) if children else 0,
            )


def _complete(tree: list[Node]) -> bool:
    """Whether every node has as many children as it says: a cut or reformatted tree shows nothing reliable."""
    if not tree or tree[0].depth != 0:
        return False
    missing: list[int] = []  # children still to come, by depth
    for node in tree:
        if node.depth > len(missing):
            return False
        if any(missing[node.depth :]):
            return False
        del missing[node.depth :]
        if missing:
            missing[-1] -= 1
            if missing[-1] < 0:
                return False
        elif node is not tree[0]:
            return False
        missing.append(node.children)
    return not any(missing)
