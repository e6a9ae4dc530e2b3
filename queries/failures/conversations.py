"""Conversations that an evaluator of conversations, or a person, found failing."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ...errors import QueryError

if TYPE_CHECKING:
    from ..store.protocol import StoreClient

_FAILING = """
SELECT conversation_id, max(span_time) AS last_time, any(sample_weight) AS weight, any(service) AS service,
    groupArray((toString(name), evaluator_version, toString(source), score, toString(label), toString(passed), explanation)) AS verdicts
FROM evaluations
WHERE unit = 'conversation' AND project = {project:String} AND span_time >= {since:DateTime64(3, 'UTC')} AND experiment_id = ''
    AND ({condition})
GROUP BY conversation_id
ORDER BY last_time DESC
LIMIT {limit:UInt32}
"""
_VERDICT = ("name", "evaluator_version", "source", "score", "label", "passed", "explanation")


def failing_conversations(
    store: StoreClient, *, since: datetime, project: str = "default", where: str = "", limit: int = 1000
) -> list[dict[str, Any]]:
    """`conversation_id`, `verdicts`, `weight` and `last_time` of the failing conversations, the newest first.

    `where` may use the columns of evaluations; one that speaks of spans finds no conversation.
    """
    condition = f"passed = 'fail' AND (\n{where}\n)" if where.strip() else "passed = 'fail'"
    given = {"since": since.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3], "project": project, "limit": limit}
    try:
        rows = store.query(_FAILING.replace("{condition}", condition), given).dicts()
    except QueryError:
        if not where.strip():
            raise
        return []
    return [
        {**row, "verdicts": [dict(zip(_VERDICT, verdict, strict=True)) for verdict in row["verdicts"]]} for row in rows
    ]
