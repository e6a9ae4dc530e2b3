"""Jupyter: `evalspan.notebook.trace(ID)` and `evalspan.notebook.score_trend(METRIC)` are shown as what they mean."""

from .queries.notebook import score_trend, trace
from .queries.notebook.trace_display import TraceDisplay
from .queries.notebook.trend_display import ScoreTrendDisplay

__all__ = ["ScoreTrendDisplay", "TraceDisplay", "score_trend", "trace"]
