"""Rich displays for notebooks: a trace as a waterfall with what was said, a score over time with its interval."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .. import catalog
from .. import traces as reading
from ..durations import parse_duration
from ..store.client import connect
from ..store.config import configured_project

if TYPE_CHECKING:
    from ..store.protocol import StoreClient
    from .trace_display import TraceDisplay
    from .trend_display import ScoreTrendDisplay


def trace(trace_id: str, *, store: StoreClient | str | None = None) -> TraceDisplay:
    """One trace, shown as a waterfall; the beginning of its id is enough.

    `store` is an open store or a DSN; left out, it is found as the commands find it (EVALSPAN_STORE, evalspan.toml,
    the user's data directory), through the running service when one owns it.
    Raises UsageError when there is no such trace or several begin like that, StoreUnreachable when there is no store.
    """
    from .trace_display import TraceDisplay

    with _opened(store) as opened:
        return TraceDisplay(reading.read(opened, trace_id))


def score_trend(
    metric: str,
    *,
    since: str = "7d",
    window: str = "1d",
    by: str = "",
    project: str | None = None,
    store: StoreClient | str | None = None,
) -> ScoreTrendDisplay:
    """A score by window with its 95 % interval, shown as a chart and a table; `.rows` goes into a DataFrame.

    `since` and `window` are lengths of time (30m, 24h, 7d); `by` draws one line for each service, environment,
    request_model, prompt_name, prompt_version, system_hash or segment. `store` as for `trace`; `project` left out is
    that of EVALSPAN_PROJECT or `[store] project`, else "default".
    Raises UsageError for a length of time or a dimension that cannot be, StoreUnreachable when there is no store.
    """
    from .trend_display import ScoreTrendDisplay

    asked: dict[str, Any] = {
        "metric": metric,
        "project": configured_project() or "default" if project is None else project,
        "by": by,
        "since_s": int(parse_duration(since, name="since").total_seconds()),
        "window_s": int(parse_duration(window, name="window").total_seconds()),
    }
    with _opened(store) as opened:
        return ScoreTrendDisplay(metric, since, catalog.get("score_trend").run(opened, **asked).dicts())


@contextmanager
def _opened(store: StoreClient | str | None) -> Iterator[StoreClient]:
    """The caller's store, which stays open, or one of our own, which does not."""
    if store is not None and not isinstance(store, str):
        yield store
        return
    with connect(store) as opened:
        yield opened
