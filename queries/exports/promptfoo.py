"""Cases as a promptfoo configuration: run it with `promptfoo eval -c FILE -r PROVIDER`.

Written as YAML whose values are JSON, which every YAML reader takes. The input's fields become variables. Each case
asserts that the failing answer does not come back, and that the expected one comes near where somebody said it.

promptfoo reads `file://` and `package:` at the start of a value, and renders `{{ }}` in values, names of environment
variables included. So a text from traffic travels as a JSON string without a brace in it, and only the filter `load`
(JSON.parse) makes it a text again, where nothing renders it any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..atomic_write import write_atomically

LIKENESS = 0.5  # ROUGE-N recall that still counts as the expected answer
FAILED, EXPECTED = "evalspan_failed", "evalspan_expected"
# Names that promptfoo or its template language has a meaning for.
_RESERVED = frozenset({"_conversation", "env", "messages", "input", "constructor", "prototype", FAILED, EXPECTED})


def write(path: Path, cases: Sequence[dict[str, Any]]) -> list[Path]:
    """Writes one YAML file."""
    variable = "question" if all(isinstance(case["input"].get("question"), str) for case in cases) else "input"
    lines = [
        "# yaml-language-server: $schema=https://promptfoo.dev/config-schema.json",
        f"description: {_json(f'{len(cases)} regression cases from production failures')}",
        "prompts:",
        f"  - {_json(_json([{'role': 'user', 'content': _loaded(variable)}]))}",
        "tests:",
    ]
    for case in cases:
        test = _test(case)
        lines += [
            f"  - {key}: {_json(value)}" if not n else f"    {key}: {_json(value)}"
            for n, (key, value) in enumerate(test.items())
        ]
    if not cases:
        lines[-1] = "tests: []"
    write_atomically(path, ("\n".join(lines) + "\n").encode())
    return [path]


def _test(case: Mapping[str, Any]) -> dict[str, Any]:
    about = case["metadata"]
    failed = (about.get("failure") or {}).get("output")
    checks: list[dict[str, Any]] = []
    variables = {name: _shielded(value) for name, value in case["input"].items() if _is_variable(name)}
    variables["input"] = _shielded(case["input"])
    if failed:
        variables[FAILED] = _shielded(failed)
        checks.append({"type": "not-equals", "value": _loaded(FAILED)})
    if case["expected_output"]:
        variables[EXPECTED] = _shielded(case["expected_output"])
        checks.append({"type": "rouge-n", "value": _loaded(EXPECTED), "threshold": LIKENESS})
    return {
        "description": _inert(
            f"{case['id']}: {about.get('root_cause') or about.get('reason') or 'production failure'}"
        ),
        "vars": variables,
        "assert": checks or [{"type": "javascript", "value": "output.trim().length > 0"}],
        "metadata": {
            "id": _inert(case["id"]),
            "source_trace_id": _inert(str(about.get("source_trace_id", ""))),
            "count": about.get("count", 1),
        },
    }


def _is_variable(name: str) -> bool:
    return name.isidentifier() and name.isascii() and not name.startswith("__") and name not in _RESERVED


def _shielded(value: Any) -> str:
    """The value's text as a JSON string in which nothing looks like a template, a file or a package."""
    text = value if isinstance(value, str) else _json(value)
    return _json(text).replace("{", "\\u007b")


def _loaded(variable: str) -> str:
    return f"{{{{ {variable} | load }}}}"


def _inert(text: str) -> str:
    """Text for people, in a place that promptfoo renders and where nothing unshields it: braces do not meet."""
    return text.replace("{{", "{ {").replace("{%", "{ %").replace("{#", "{ #")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
