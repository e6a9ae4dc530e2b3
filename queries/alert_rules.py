"""Alert rules as rows: how a rule is silenced, from the terminal and the dashboard alike, and what it said last."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    from .store.protocol import StoreClient

_WRITTEN = ("version", "created_at")


def stored_rules(store: StoreClient, rule: str = "", project: str = "") -> list[dict[str, Any]]:
    """The rules as they are stored, all columns; empty arguments mean all."""
    return store.query(
        "SELECT * FROM alert_rules WHERE ({rule:String} = '' OR rule_id = {rule:String})"
        " AND ({project:String} = '' OR project = {project:String}) ORDER BY project, rule_id",
        {"rule": rule, "project": project},
    ).dicts()


def open_alerts(store: StoreClient) -> list[dict[str, Any]]:
    """The alerts of all projects that nothing has resolved yet, all columns."""
    return store.query("SELECT * FROM alerts WHERE state IN ('firing', 'error')").dicts()


def silence(store: StoreClient, rule: str, until: datetime | None, project: str = "") -> None:
    """Sends no notices of a rule until then; None ends a silence. Its alerts are still recorded.

    Raises:
        UsageError: there is no such rule.
    """
    rows = stored_rules(store, rule, project)
    if not rows:
        names = ", ".join(sorted({row["rule_id"] for row in stored_rules(store, "", project)})) or "none"
        raise UsageError(f"There is no rule {rule!r}.", hint=f"There are: {names}.")
    update(store, rows, silenced_until=until)


def update(store: StoreClient, rows: list[dict[str, Any]], **columns: Any) -> None:
    """Writes stored rules again with some columns changed."""
    kept = [{name: value for name, value in row.items() if name not in _WRITTEN} for row in rows]
    store.insert("alert_rules", [{**row, **columns} for row in kept])
