"""What OpenAI's requests and responses have in common: parameters, identity and token counts."""

from __future__ import annotations

from typing import Any

from ... import semconv
from ...tracing import Attributes
from ..parts import fields

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
_INPUT_DETAILS = {"cached_tokens": semconv.CACHED_TOKENS, "cache_write_tokens": semconv.CACHE_WRITE_TOKENS}
_OUTPUT_DETAILS = {"reasoning_tokens": semconv.REASONING_TOKENS}
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
        if isinstance(value := response.get(name), str):
            found[attribute] = value
    return found


def usage(reported: Any) -> Attributes:
    """Token counts in the spelling of either API; nothing when the API reported none."""
    found: Attributes = {}
    for name, value in fields(reported).items():
        if value is None:
            continue
        if (attribute := _COUNTS.get(name)) is not None:
            if isinstance(value, int):
                found[attribute] = value
        elif (names := _DETAILS.get(name)) is not None:
            for detail, count in fields(value).items():
                if detail in names and isinstance(count, int):
                    found[names[detail]] = count
    return found
