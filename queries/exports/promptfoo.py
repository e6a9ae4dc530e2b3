"""Cases as a promptfoo configuration: run it with `promptfoo eval -c FILE -r PROVIDER`.

Written as YAML whose values are JSON, which every YAML reader takes. The input's fields become variables. Each case
asserts that the failing answer does not come back, and that the expected one comes near where somebody said it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..atomic_write import write_atomically

_TEMPLATE = re.compile(r"\{[{%#]")
LIKENESS = 0.5  # ROUGE-N recall that still counts as the expected answer


def write(path: Path, cases: Sequence[dict[str, Any]]) -> list[Path]:
    """Writes one YAML file."""
    lines = [
        "# yaml-language-server: $schema=https://promptfoo.dev/config-schema.json",
        f"description: {_json(f'{len(cases)} regression cases from production failures')}",
        "prompts:",
        f"  - {_json(_prompt('question' if all('question' in case['input'] for case in cases) else 'input'))}",
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


def _prompt(variable: str) -> str:
    return _json([{"role": "user", "content": f"{{{{{variable}}}}}"}])


def _test(case: dict[str, Any]) -> dict[str, Any]:
    about = case["metadata"]
    failed = (about.get("failure") or {}).get("output")
    checks: list[dict[str, Any]] = []
    if failed:
        checks.append({"type": "not-equals", "value": _literal(failed)})
    if case["expected_output"]:
        checks.append({"type": "rouge-n", "value": _literal(case["expected_output"]), "threshold": LIKENESS})
    # The prompt is JSON: there promptfoo puts variables in as they are, a customer's braces included.
    variables = {
        key: value if isinstance(value, str) else _json(value)
        for key, value in case["input"].items()
        if key != "messages"
    }
    variables["input"] = _json(case["input"])
    return {
        "description": f"{case['id']}: {about.get('root_cause') or about.get('reason') or 'production failure'}",
        "vars": variables,
        "assert": checks or [{"type": "javascript", "value": "output.trim().length > 0"}],
        "metadata": {
            "id": case["id"],
            "source_trace_id": about.get("source_trace_id", ""),
            "count": about.get("count", 1),
        },
    }


def _literal(text: str) -> str:
    """Text for a place that promptfoo renders as a template: what looks like one stays as it is."""
    return _TEMPLATE.sub(lambda found: f"{{{{ '{found.group()}' }}}}", text)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
