"""What alert rules hold a score against: the numbers in their conditions, drawn into the charts of that score."""

from __future__ import annotations

import json
import re
from typing import Any

from .page_context import Rows

OVER_SCORES = {"score_trend", "e_detector", "confidence_band"}
"""The named queries whose rows are means of scores."""
_COMPARED = re.compile(r"\b(mean|low|high|pass_rate|pass_low|pass_high)\s*(<=|>=|<|>)\s*(-?\d+(?:\.\d+)?)")


def thresholds_for(rules: Rows, score: str) -> list[dict[str, Any]]:
    """The limits that enabled rules set for `score`: column, side and number, with the rules that share them."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for rule in rules:
        if not rule["enabled"] or rule["query"] not in OVER_SCORES:
            continue
        watched = _parameters(rule["parameters"]).get("metric", "")
        if watched not in ("", score):
            continue
        for column, sign, value in _COMPARED.findall(rule["condition"]):
            limit = {"column": column, "sign": sign, "value": float(value), "rules": []}
            found.setdefault((column, sign, value), limit)["rules"].append((rule["rule_id"], rule["name"]))
    return list(found.values())


def _parameters(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
