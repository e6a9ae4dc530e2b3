"""docs/configuration.md, written from the settings' structs and the sentences that stand under their fields."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from typing import Annotated, Any, get_args, get_origin

import msgspec

from ..config import LISTS, TABLES

_HEAD = """\
# Configuration

Every setting of `evalspan.toml`, its type and its default. A flag beats the environment, the environment beats the
file, the file beats the default: `--port`, then `EVALSPAN_RECEIVE_PORT` (`EVALSPAN_<TABLE>_<KEY>`), then `[receive] port`.
`EVALSPAN_STORE` is short for `[store] dsn`. The file is `./evalspan.toml`, or what `--config` or `EVALSPAN_CONFIG` name.

```bash
evalspan config check evalspan.toml    # exit 2 with file, line and the nearest name for what does not exist
evalspan config show --origin          # every value and where it came from
```

This page is written by `evalspan config reference > docs/configuration.md`.
"""


def configuration_markdown() -> str:
    """The page; a test holds docs/configuration.md to it."""
    return "\n".join(
        [
            _HEAD,
            *(_section(f"[{table}]", kind) for table, kind in TABLES.items()),
            *(_section(f"[[{table}]]", kind) for table, kind in LISTS.items()),
        ]
    )


def _section(table: str, kind: type[msgspec.Struct]) -> str:
    said = inspect.cleandoc(kind.__doc__ or "").removeprefix(f"`{table}`: ")
    lines = [f"## {table}", "", said[:1].upper() + said[1:], ""]
    lines += ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    sentences = _sentences(kind)
    for field in msgspec.structs.fields(kind):
        meaning = " ".join(sentences.get(field.name, "").split()).replace("|", r"\|")
        lines.append(f"| `{field.name}` | {_type(field.type)} | {_default(field)} | {meaning} |")
    return "\n".join([*lines, ""])


def _sentences(kind: type[msgspec.Struct]) -> dict[str, str]:
    """The string under each field, which Python itself throws away."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
            found[field.target.id] = str(below.value.value)  # type: ignore[attr-defined]
    return found


def _type(annotation: Any) -> str:
    annotation = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    text = (
        annotation.__name__
        if isinstance(annotation, type) and not hasattr(annotation, "__origin__")
        else str(annotation)
    )
    for long, short in (("typing.", ""), ("evalspan.collector.sampling.config.", ""), ("NoneType", "None")):
        text = text.replace(long, short)
    text = re.sub(r"^Optional\[(.*)\]$", r"\1 | None", text)  # how interpreters before 3.14 write it
    text = text.rsplit(".", 1)[-1] if text.startswith("evalspan.") else text
    return f"`{text}`".replace("|", r"\|")


def _default(field: msgspec.structs.FieldInfo) -> str:
    value = (
        field.default_factory()
        if field.default is msgspec.NODEFAULT and callable(field.default_factory)
        else field.default
    )
    if value is msgspec.NODEFAULT:
        return "has to be set"
    if value is None:
        return "not set"
    encoded = msgspec.json.encode(value).decode()
    return "empty" if encoded in ('""', "[]", "{}") else f"`{encoded}`"
