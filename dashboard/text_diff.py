"""Two texts word by word: what was taken out and put in, for the pages that set one text against another."""

from __future__ import annotations

import difflib


def difference(old: str, new: str) -> list[tuple[str, str]]:
    """Words of two texts as (kind, text) with kind "=", "-" or "+"."""
    before, after = old.split(), new.split()
    pieces: list[tuple[str, str]] = []
    for kind, i1, i2, j1, j2 in difflib.SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(("=", " ".join(before[i1:i2])))
            continue
        if i2 > i1:
            pieces.append(("-", " ".join(before[i1:i2])))
        if j2 > j1:
            pieces.append(("+", " ".join(after[j1:j2])))
    return pieces
