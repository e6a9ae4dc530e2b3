"""Finds the verdict in what a judge wrote: the last complete object that fits the form, behind thinking and prose.

What can be read in one way only is read (4.0 or "4" for 4, null for an empty list, a trailing comma, a status in lower case); what could mean
two things (duplicate keys, two different verdicts, 4.5) is refused. Nothing here ever supplies a default.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn, TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)
MAX_STARTS = 2000
"""Opening braces that are tried as the start of the verdict, the last ones first."""
_TAGS = "think|thinking|thought|thoughts|reasoning|reflection|analysis|rationale|scratchpad|draft"
_THINKING_ENDS = re.compile(rf"</(?:{_TAGS})>|◁/think▷|\[/THINK\]|<\|channel\|>final", re.IGNORECASE)
_THINKING_STARTS = re.compile(rf"<(?:{_TAGS})>|◁think▷|\[THINK\]", re.IGNORECASE)
_COMMENT = re.compile(r'("(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\')|/\*.*?\*/|//[^\n]*', re.DOTALL)
_WHOLE_NUMBER = re.compile(r"\s*([+-]?\d{1,4})(?:\.0+)?\s*(?:(?:/|out of)\s*(\d{1,4}))?\s*", re.IGNORECASE)
# Two verdicts that differ only in these say the same.
_COMMENTARY = frozenset({"reasoning", "explanation", "evidence", "strengths", "weaknesses"})


def parse_json(text: str, kind: type[T]) -> T:
    """The verdict in a judge's text, as a checked struct. Raises ValueError that says what does not fit."""
    found, problem = _fitting(text, kind, _decoded)
    if not found:
        found, again = _fitting(text, kind, _literal)
        problem = problem or again
    if not found:
        raise ValueError(problem or f"no JSON object in {text[:80]!r}")
    if len({_statement(value) for value, _ in found}) > 1:
        raise ValueError("the answer holds two different verdicts")
    value, end = found[-1]
    if _says_again(text, end, kind):
        raise ValueError("the last verdict of the answer does not fit: it is cut off, or not of its form")
    return value


def _says_again(text: str, end: int, kind: type[msgspec.Struct]) -> bool:
    """Whether an object begins after the verdict that has one of its keys: what stands before it was a draft then."""
    names = [field.name for field in msgspec.structs.fields(kind) if field.required and field.name not in _COMMENTARY]
    keys = "|".join(map(re.escape, names))
    return bool(names) and re.search(rf"""\{{[^{{}}]*["'](?:{keys})["']\s*:""", text[end:], re.IGNORECASE) is not None


def _fitting(text: str, kind: type[T], read: Any) -> tuple[list[tuple[T, int]], str]:
    """All objects after the thinking that fit, each with where it ends, in order, and why the last one that does not fit does not."""
    found: list[tuple[int, int, T]] = []
    problem, end = "", 0
    for start in _starts(text):
        if start < end:
            continue  # inside an object that fits
        try:
            value, stop = read(text, start)
        except _RepeatedKey as error:
            problem = str(error)
            continue
        except (ValueError, RecursionError, MemoryError, SyntaxError):
            continue
        try:
            found.append((start, stop, msgspec.convert(_adapted(value, kind), kind)))
            end = stop
        except msgspec.ValidationError as error:
            # A wrapper around the verdict fits no better than a broken verdict; the outermost one is told of.
            problem = problem or str(error)
    answer_from = _answer_start(text, [(start, stop) for start, stop, _ in found])
    return [(value, stop) for start, stop, value in found if start >= answer_from], problem


def _starts(text: str) -> Iterator[int]:
    places = [match.start() for match in re.finditer(r"\{", text)]
    yield from places[-MAX_STARTS:]


def _answer_start(text: str, objects: list[tuple[int, int]]) -> int:
    """Where the thinking ends: after the last closing mark that does not stand inside an object; never, if it is open."""
    closing = [
        match.end()
        for match in _THINKING_ENDS.finditer(text)
        if not any(start <= match.start() < stop for start, stop in objects)
    ]
    last = closing[-1] if closing else 0
    opened = _THINKING_STARTS.search(text, last)
    if opened is not None and not any(start <= opened.start() < stop for start, stop in objects):
        before = any(stop <= opened.start() for _, stop in objects)
        return last if before else len(text)
    return last


def _statement(value: msgspec.Struct) -> bytes:
    fields = {name: item for name, item in msgspec.to_builtins(value).items() if name not in _COMMENTARY}
    return msgspec.json.encode(fields, order="sorted")


class _RepeatedKey(ValueError):
    """An object that says two things under one key."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _RepeatedKey(f"the key {twice!r} occurs twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, strict=False)


def _decoded(text: str, start: int) -> tuple[Any, int]:
    return _DECODER.raw_decode(text, start)


def _literal(text: str, start: int) -> tuple[Any, int]:
    """What is nearly JSON: single quotes, Python's constants, a trailing comma, comments."""
    stop = _closing_brace(text, start)
    # Newlines inside quotes are not Python; JSON of a hasty model has them.
    source = _COMMENT.sub(lambda match: (match[1] or "").replace("\n", "\\n").replace("\r", "\\r"), text[start:stop])
    return _from_node(ast.parse(source.strip(), mode="eval").body), stop


def _closing_brace(text: str, start: int) -> int:
    depth, quote, place = 0, "", start
    while place < len(text):
        character = text[place]
        if quote:
            if character == "\\":
                place += 1
            elif character == quote:
                quote = ""
        elif character in "\"'":
            quote = character
        elif character in "{}":
            depth += 1 if character == "{" else -1
            if depth == 0:
                return place + 1
        place += 1
    raise ValueError("the object is not closed")


def _from_node(node: ast.AST) -> Any:
    if isinstance(node, ast.Dict):
        if None in node.keys:
            raise ValueError("not an object")
        return _unique([(str(_from_node(key)), _from_node(value)) for key, value in zip(node.keys, node.values, strict=True) if key is not None])  # fmt: skip
    if isinstance(node, ast.List | ast.Tuple):
        return [_from_node(one) for one in node.elts]
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | None):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        value = node.operand.value
        if isinstance(value, int | float):
            return -value
    if isinstance(node, ast.Name) and node.id in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[node.id]
    raise ValueError("not an object")


def _adapted(value: Any, kind: Any) -> Any:
    """The object with what can be meant in one way only put into the struct's own types."""
    if not isinstance(value, dict) or not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return value
    fields = {field.name: field for field in msgspec.inspect.type_info(kind).fields}  # type: ignore[attr-defined]
    adapted: dict[str, Any] = {}
    for key, item in value.items():
        name = key if key in fields or key.lower() not in fields else key.lower()
        if name in adapted:
            raise msgspec.ValidationError(f"the key {name!r} occurs twice")
        if name not in fields:
            continue
        field = fields[name]
        if item is None and not field.required:
            continue  # null for what may be left out
        adapted[name] = _adapted_value(item, field.type)
    return adapted


def _adapted_value(item: Any, info: msgspec.inspect.Type) -> Any:
    if isinstance(info, msgspec.inspect.IntType):
        return _whole(item, info.le)
    if isinstance(info, msgspec.inspect.LiteralType) and isinstance(item, str):
        # "Supported" and " supported " are one of the words, whatever their case.
        return next((one for one in info.values if str(one).casefold() == item.strip().casefold()), item)
    if isinstance(info, msgspec.inspect.ListType):
        if item is None:
            return []
        inner = info.item_type
        if isinstance(item, list) and isinstance(inner, msgspec.inspect.StructType):
            return [_adapted(one, inner.cls) for one in item]
    return item


def _whole(item: Any, highest: int | None) -> Any:
    if isinstance(item, float) and item.is_integer():
        return int(item)
    match = _WHOLE_NUMBER.fullmatch(item) if isinstance(item, str) else None
    of_scale = match is not None and (match[2] is None or (highest is not None and int(match[2]) == highest))
    return int(match[1]) if match is not None and of_scale else item
