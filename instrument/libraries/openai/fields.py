"""What OpenAI's requests and responses have in common: parameters, identity and token counts."""

from __future__ import annotations

import math
from typing import Any

from ... import semconv
from ...tracing import Attributes
from ..parts import count_of, field, fields
from ..surface import Failure

# Parameters whose value is recorded as it was sent; nothing is invented for what was not.
PARAMETERS = {
    "max_tokens": semconv.REQUEST_MAX_TOKENS,
    "max_completion_tokens": semconv.REQUEST_MAX_TOKENS,
    "max_output_tokens": semconv.REQUEST_MAX_TOKENS,
    "temperature": semconv.REQUEST_TEMPERATURE,
    "top_p": semconv.REQUEST_TOP_P,
    "frequency_penalty": semconv.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": semconv.REQUEST_PRESENCE_PENALTY,
    "seed": semconv.REQUEST_SEED,
    "reasoning_effort": semconv.REQUEST_REASONING_LEVEL,
}
_IDENTITY = (
    ("id", semconv.RESPONSE_ID),
    ("model", semconv.RESPONSE_MODEL),
    ("service_tier", semconv.OPENAI_RESPONSE_TIER),
    ("system_fingerprint", semconv.OPENAI_FINGERPRINT),
)
# Chat's spelling and that of responses.
_COUNTS = {
    "prompt_tokens": semconv.INPUT_TOKENS,
    "input_tokens": semconv.INPUT_TOKENS,
    "completion_tokens": semconv.OUTPUT_TOKENS,
    "output_tokens": semconv.OUTPUT_TOKENS,
}
_INPUT_DETAILS = {
    "cached_tokens": semconv.CACHED_TOKENS,
    "cache_write_tokens": semconv.CACHE_WRITE_TOKENS,
    "text_tokens": semconv.TEXT_INPUT_TOKENS,
    "audio_tokens": semconv.AUDIO_INPUT_TOKENS,
    "image_tokens": semconv.IMAGE_INPUT_TOKENS,
    "video_tokens": semconv.VIDEO_INPUT_TOKENS,
}
_OUTPUT_DETAILS = {
    "reasoning_tokens": semconv.REASONING_TOKENS,
    "text_tokens": semconv.TEXT_OUTPUT_TOKENS,
    "audio_tokens": semconv.AUDIO_OUTPUT_TOKENS,
    "image_tokens": semconv.IMAGE_OUTPUT_TOKENS,
}
# The API reports these for every call; they say something only where they are more than nothing.
_MODALITIES = frozenset({*_INPUT_DETAILS.values(), *_OUTPUT_DETAILS.values()}) - {
    semconv.CACHED_TOKENS,
    semconv.CACHE_WRITE_TOKENS,
    semconv.REASONING_TOKENS,
}
_DETAILS = {
    "prompt_tokens_details": _INPUT_DETAILS,
    "input_tokens_details": _INPUT_DETAILS,
    "completion_tokens_details": _OUTPUT_DETAILS,
    "output_tokens_details": _OUTPUT_DETAILS,
}
# The API's finish reasons under the names of the message schemas.
FINISH_REASONS = {"tool_calls": "tool_call", "function_call": "tool_call"}


def parameters(body: dict[str, Any]) -> Attributes:
    """The parameters of a request that the conventions name."""
    found: Attributes = {}
    for name, value in body.items():
        attribute = PARAMETERS.get(name)
        if attribute is not None:
            found[attribute] = value
    tier = body.get("service_tier")
    if tier is not None and tier != "auto":
        found[semconv.OPENAI_REQUEST_TIER] = tier
    return found


def identity(response: dict[str, Any]) -> Attributes:
    """Which response it is and which model gave it, from its fields."""
    found: Attributes = {}
    for name, attribute in _IDENTITY:
        # Some servers open a stream with empty ones.
        if isinstance(value := response.get(name), str) and value:
            found[attribute] = value
    tier = found.get(semconv.OPENAI_RESPONSE_TIER)
    if tier is not None and tier != "auto":
        found[semconv.SERVICE_TIER] = "standard" if tier == "default" else tier
    return found


def usage(reported: Any) -> Attributes:
    """Token counts in the spelling of either API, and what else is charged; nothing when the API reported none."""
    found: Attributes = {}
    for name, value in fields(reported).items():
        if value is None:
            continue
        if (attribute := _COUNTS.get(name)) is not None:
            if (count := count_of(value)) is not None:
                found[attribute] = count
        elif (names := _DETAILS.get(name)) is not None:
            for detail, told in fields(value).items():
                attribute, count = names.get(detail), count_of(told)
                if attribute is not None and count is not None and (count or attribute not in _MODALITIES):
                    found[attribute] = count
        elif name == "cost":
            _report_cost(found, value)
        elif name == "num_search_queries" and isinstance(value, int):
            found[semconv.WEB_SEARCHES] = value
    return found


def _report_cost(found: Attributes, cost: Any) -> None:
    """What a gateway says that the call cost, in dollars: a number, or parts with their total."""
    total = cost if isinstance(cost, (int, float)) else field(cost, "total_cost")
    if isinstance(total, (int, float)) and not isinstance(total, bool) and math.isfinite(total) and total >= 0:
        found[semconv.REPORTED_COST_USD] = float(total)


def failure_of(error: Any, default: str = "failed") -> Failure | None:
    """What an `error` inside a 200 says; None when there is none."""
    if not error:
        return None
    if isinstance(error, str):
        return Failure(default, error)
    code = field(error, "code") or field(error, "type")
    return Failure(str(code) if code else default, str(field(error, "message") or ""))
