"""`evalspan alert test`: evaluates one rule now and, if asked, sends a notice with the secrets of this process."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from ...queries.plain_json import plain_json
from .notices import notice_of
from .sinks import Sink

if TYPE_CHECKING:
    from .rule import AlertRule
    from .watcher import Watcher


async def try_rule(watcher: Watcher, name: str, now: datetime, *, send: bool) -> dict[str, Any]:
    """The rows that meet the rule's condition now, and what became of the notice at each sink.

    Raises:
        UsageError: there is no such rule.
        StoreError: the rule cannot be evaluated.
    """
    rule = watcher.rules.get(name)
    if rule is None:
        raise UsageError(f"There is no rule {name!r}.", hint=f"There are: {', '.join(watcher.rules)}.")
    rows = await asyncio.to_thread(watcher.matching_rows, rule, now)
    delivered = await send_trial(rule, rows, watcher.sinks_of(rule), now) if send else {}
    return {"rule": name, "rows": plain_json(rows), "delivered": delivered}


async def send_trial(rule: AlertRule, rows: list[dict[str, Any]], sinks: list[Sink], now: datetime) -> dict[str, str]:
    """Sends a notice of the first row, or an empty one; "" for each sink that took it, else what went wrong."""
    row = rows[0] if rows else {}
    message = "" if row else "a test: nothing meets the condition"
    notice = notice_of(rule, (), "test", now, row, [], message)
    problems = await asyncio.gather(*(sink.delivery_problem(notice) for sink in sinks))
    return {sink.config.name: problem for sink, problem in zip(sinks, problems, strict=True)}
