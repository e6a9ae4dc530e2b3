"""The alert rules of the demo's service, and what they raised by the time that everything is scored."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ...queries import catalog
from ...queries.store.client import connect
from ...queries.store.protocol import StoreClient
from .found import Raised

RULES = ("quality_dropped", "new_prompt", "answers_changed")
_PATIENCE_S = 15
_SETTINGS = """
# The service watches the fortnight: its second week against its first, so both fit into the parameters.
[alerts]
built_in = false

[[alerts.rules]]
name = "quality_dropped"
query = "e_detector"
parameters = {{ direction = "decrease", window_s = 86400, min_n = 5, horizon = 7, until = "{until}" }}
condition = "alarm != ''"
by = ["metric"]
severity = "high"
every_s = 3
message = "{{metric}} fell from {{mean_before}} to {{mean_since}}, since about {{since}}"

[[alerts.rules]]
name = "new_prompt"
query = "changes"
parameters = {{ until = "{until}" }}
condition = "dimension = 'system_hash' AND is_new = 1"
by = ["value"]
severity = "info"
every_s = 3
message = "a new system prompt {{value}} is used since {{first_seen}}, share {{share_after}}; before: {{previous}}"

[[alerts.rules]]
name = "answers_changed"
query = "e_detector"
parameters = {{ of = "usage", window_s = 86400, min_n = 5, horizon = 7, until = "{until}" }}
condition = "metric IN ('output_tokens', 'latency', 'error_rate') AND alarm != ''"
by = ["metric"]
severity = "medium"
every_s = 3
message = "{{metric}} of the model calls went from {{mean_before}} to {{mean_since}}, since about {{since}}"
"""


def alert_settings(until: datetime) -> str:
    """The `[alerts]` table for a fortnight that ends at `until`."""
    return _SETTINGS.format(until=f"{until:%Y-%m-%dT%H:%M:%S}")


def wait_for_alerts(store: Path, check: Callable[[], None]) -> list[Raised]:
    """What the rules raised, once each had its say or several looks had their time; `check` may raise meanwhile."""
    deadline = time.monotonic() + _PATIENCE_S
    with connect(f"chdb://{store.resolve()}") as opened:
        while True:
            check()
            alerts = raised(opened)
            if {alert.rule for alert in alerts} >= set(RULES) or time.monotonic() > deadline:
                return alerts
            time.sleep(1)


def raised(store: StoreClient, project: str = "default") -> list[Raised]:
    """The newest alert of each rule and label, in the order of the rules."""
    newest: dict[str, dict[str, Any]] = {}
    for row in catalog.get("alert_history").run(store, project=project).dicts():
        if row["name"] not in newest or row["started_at"] > newest[row["name"]]["started_at"]:
            newest[row["name"]] = row
    return [_raised(row) for row in sorted(newest.values(), key=lambda row: RULES.index(row["rule"]))]


def _raised(row: dict[str, Any]) -> Raised:
    details = row["details"] if isinstance(row["details"], dict) else msgspec.json.decode(row["details"])
    given = " ".join(f"{name}={value}" for name, value in details["parameters"].items())
    return Raised(
        rule=row["rule"],
        severity=row["severity"],
        message=row["message"],
        query=f"evalspan queries run {details['query']} {given}",
        condition=details["condition"],
        numbers=_numbers(details["row"]),
        links=[urlsplit(link).path for link in details["traces"]],
    )


def _numbers(row: dict[str, Any]) -> str:
    """The row's evidence: what was compared, with the baseline's interval or the test's p-value."""
    if "statistic" in row:
        return (
            f"{row['mean']:.3g} in the window from {str(row['window_start'])[:10]} (n {row['n']}, standard error"
            f" {row['standard_error']:.2g}) against {row['baseline_mean']:.3g}"
            f" [{row['baseline_low']:.3g}, {row['baseline_high']:.3g}] before (n {row['baseline_n']});"
            f" evidence {row['statistic']:.3g}, threshold {row['threshold']:.3g}"
        )
    return f"share {row['share_before']:.0%} before, {row['share_after']:.0%} after (n {row['n']}), p {row['p']:.2g}"
