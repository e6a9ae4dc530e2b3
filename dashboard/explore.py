"""Explore: one measure, split by any column or attribute, under filters; every row opens its traces."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from aiohttp import web

from ..errors import UsageError
from ..queries.span_conditions import COLUMNS, NUMBERS, OF_SCORES, Filter, conversation_filter, expression, trace_filter
from ..queries.span_conditions import UNITS as UNITS_OF_SCORES
from . import guard
from .page_context import PageContext, Rows, handle_errors, page, page_context
from .scores import bucket
from .trace_filters import WHERE, added, all_params, chips, conditions, kept, removed

MEASURES = {
    "calls": "Calls",
    "errors": "Error share",
    "p50": "Latency, median",
    "p95": "Latency, p95",
    "cost": "Cost",
    "tokens": "Tokens",
}
SCORE = "score."
UNITS = {"calls": "model calls", "tools": "tool calls", "traces": "traces", "spans": "all spans"}
OF_CALLS = {"model", "response_model", "provider", "prompt", "version", "hash", "operation"}
"""Columns that only model calls have: grouping by one of them counts calls, unless the address says otherwise."""
Z = 1.959963984540054
TOP = 8


def wilson(share: float, n: float) -> tuple[float, float]:
    """The 95 % interval of a share on an effective sample size (Wilson 1927)."""
    if n <= 0:
        return 0.0, 1.0
    centre = (share * n + Z * Z / 2) / (n + Z * Z)
    half = Z / (n + Z * Z) * math.sqrt(max(0.0, n * share * (1 - share) + Z * Z / 4))
    return max(0.0, centre - half), min(1.0, centre + half)


def of_unit(name: str, unit: str) -> str:
    """How a score is named where those of several units stand together: `tone`, and `tone@trace` of whole traces."""
    return name if unit == "span" else f"{name}@{unit}"


def unit_of(context: PageContext, by: str) -> str:
    """What is counted: of the address, else what has the column by which is grouped."""
    chosen = context.params.get("of", "")
    if chosen in UNITS:
        return chosen
    if chosen:
        raise UsageError(f"{chosen!r} cannot be counted.", hint=f"of is one of {', '.join(UNITS)}.")
    return "tools" if by == "tool" else "calls" if by in OF_CALLS else "traces"


def score_of(measure: str) -> tuple[str, str]:
    """Name and unit of a measure that is a score, such as `score.tone` or `score.tone@trace`; empty of any other."""
    if not measure.startswith(SCORE):
        return "", ""
    name, _, unit = measure.removeprefix(SCORE).rpartition("@")
    return (name, unit) if name and unit in UNITS_OF_SCORES else (measure.removeprefix(SCORE), "span")


def unit_parameters(unit: str) -> dict[str, int]:
    """The parameters of pages/explore that choose a unit."""
    return {
        "calls": int(unit == "calls"),
        "tools": int(unit == "tools"),
        "entries": int(unit == "traces"),
        "alone": int(unit != "traces"),
    }


async def _show(context: PageContext) -> dict[str, Any]:
    measure, by = context.params.get("measure", "calls"), context.params.get("by", "").strip() or "service"
    if measure not in MEASURES and not measure.startswith(SCORE):
        raise UsageError(f"There is no measure {measure!r}.", hint=f"One of {', '.join(MEASURES)}, or score.NAME.")
    unit = unit_of(context, by)
    size = bucket(context.filters.end - context.filters.start)
    names, (rows, series) = await asyncio.gather(
        context.query("pages/evaluation_names"), _measured(context, measure, by, unit, size)
    )
    labels = [row["value"] for row in rows]
    score, judged = score_of(measure)
    return {
        "measure": measure,
        "measures": {
            **MEASURES,
            **{
                f"{SCORE}{name}": f"Score: {name}"
                for name in sorted({of_unit(row["name"], row["unit"]) for row in names})
            },
        },
        "by": by,
        "unit": unit,
        "units": UNITS,
        "groups": [*COLUMNS],
        "rows": [
            {
                **row,
                "open": _open_scores(context, score, judged, by, row["value"])
                if score
                else _open(context, by, row["value"]),
            }
            for row in rows
        ],
        "counted": "conversations" if judged == "conversation" else "traces",
        "labels": labels,
        "series": _table(series, labels, measure),
        "chips": [{"text": chip.text, "without": removed(context, chip)} for chip in chips(context)],
        "kept": kept(context),
        "is_score": measure.startswith(SCORE),
    }


def mean_interval(row: dict[str, Any]) -> tuple[float, float]:
    """The 95 % interval of a weighted mean; of scores that all lie between 0 and 1 it does not leave that scale."""
    ends = [row["mean"] + side * Z * row["standard_error"] for side in (-1, 1)]
    if row["lowest"] >= 0 and row["highest"] <= 1:
        ends = [min(1.0, max(0.0, end)) for end in ends]
    return ends[0], ends[1]


async def _measured(context: PageContext, measure: str, by: str, unit: str, size: int) -> tuple[Rows, Rows]:
    """The rows of the table and the points of the chart."""
    text, given = expression(by, "group_key")
    score, judged = score_of(measure)
    slots, parameters = {"group": f"            {text}"}, dict[str, Any](unit_parameters(unit))
    if score:
        own = OF_SCORES.get(by, "")
        slots["own"] = f"            toString({own}) AS value," if own else ""
        joined = {
            "by_span": int(not own and judged != "conversation"),
            "by_turn": int(not own and judged == "conversation"),
        }
        parameters = {"name": score, "unit": judged, **joined}
    of_conversations = judged == "conversation"
    filtered = (conversation_filter if of_conversations else trace_filter)(conditions(context))
    both = Filter(filtered.text, {**filtered.parameters, **given})
    query = "pages/explore_scores" if score else "pages/explore"
    found = await context.query(query, both, slots, **parameters, top=TOP, bucket_s=size)
    for row in found:
        _with_interval(row)
    rows, points = [row for row in found if row["whole"]], [row for row in found if not row["whole"]]
    return sorted(rows, key=lambda row: (row["value"] == "(others)", -row["calls"])), points


def _with_interval(row: dict[str, Any]) -> None:
    if "mean" in row:
        row["low"], row["high"] = mean_interval(row)
        return
    row["error_rate"] = row["errors"] / row["calls"] if row["calls"] else 0.0
    row["error_low"], row["error_high"] = wilson(row["error_rate"], row["effective_n"])


VALUE_OF = {"calls": "calls", "errors": "error_rate", "p50": "p50_ms", "p95": "p95_ms", "cost": "cost_usd", "tokens": "tokens"}  # fmt: skip


def _table(points: Rows, labels: list[str], measure: str) -> list[dict[str, Any]]:
    """One row per time with a value per label, as the chart reads it; None where there is no row."""
    column = VALUE_OF.get(measure, "mean")
    at: dict[Any, dict[str, float]] = {}
    for point in points:
        at.setdefault(point["time"], {})[point["value"]] = point[column]
    return [{"time": time, "values": [at[time].get(label) for label in labels]} for time in sorted(at)]


def _open(context: PageContext, by: str, value: str) -> str:
    """The address of a row's traces; the row of all other values has none."""
    if value == "(others)":
        return ""
    return added(context, "/traces", f"{by}={value}")


def _open_scores(context: PageContext, name: str, unit: str, by: str, value: str) -> str:
    """The address of what was judged with that value: by a column of the scores themselves, else by one of a span."""
    if value == "(others)":
        return ""
    place = "/sessions" if unit == "conversation" else "/traces"
    if by in OF_SCORES:
        return added(context, place, f"{SCORE}{name}@{unit}@{by}={value}")
    params = kept(context)
    wanted = [*params.get(WHERE, []), f"{by}={value}", f"{SCORE}{name}@{unit}=any"]
    return context.filters.url(place, **{**params, WHERE: wanted})


async def _words(request: web.Request) -> web.StreamResponse:
    """Completions of a filter that is being written: keys, then values of the written key."""
    context = page_context(request, since="24h")
    written = request.query.get("written", "")
    key, sign, begun = written.partition("=")
    operator = "!=" if key.endswith("!") else "="
    key = key.removesuffix("!").strip()
    if not sign:
        found = await context.query("pages/attribute_keys")
        keys = [*COLUMNS, *NUMBERS, "failed", "segment", *(row["key"] for row in found)]
        words = [f"{name}=" for name in dict.fromkeys(keys) if written.strip().lower() in name.lower()]
    else:
        text, given = expression(key, "group_key")
        values = await context.query(
            "pages/attribute_values", Filter("", given), {"group": f"        {text}"}, begins=begun.strip()
        )
        words = [f"{key}{operator}{row['value']}" for row in values]
    return web.json_response({"words": words[:40]})


def same_page(context: PageContext, **changes: str) -> str:
    """The address of the page with other parameters."""
    return context.filters.url(context.request.path, **{**all_params(context), **changes})


explore = page("/explore", "explore.html", "Explore")(_show)
routes = [*explore.routes(), web.get("/explore/words", guard.protect(handle_errors(_words)))]
__all__ = ["WHERE", "explore", "of_unit", "routes", "same_page", "unit_of", "unit_parameters", "wilson"]
