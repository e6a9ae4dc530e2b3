"""What OpenAI's requests and responses have in common: parameters, identity and token counts."""

from __future__ import annotations

from typing import Any

from .. import semconv
from ..recording import Attributes
from .parts import field

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
# The API's finish reasons under the names of the message schemas.
FINISH_REASONS = {"tool_calls": "tool_call", "function_call": "tool_call"}


def parameters(body: dict[str, Any]) -> Attributes:
    """The parameters of a request that the conventions name."""
    found: Attributes = {}
    for name, attribute in PARAMETERS.items():
        if (value := body.get(name)) is not None:
            found[attribute] = value
    tier = body.get("service_tier")
    if tier is not None and tier != "auto":
        found[semconv.OPENAI_REQUEST_TIER] = tier
    return found


def identity(response: Any) -> Attributes:
    """Which response it is and which model gave it."""
    found: Attributes = {}
    for name, attribute in (
        ("id", semconv.RESPONSE_ID),
        ("model", semconv.RESPONSE_MODEL),
        ("service_tier", semconv.OPENAI_RESPONSE_TIER),
        ("system_fingerprint", semconv.OPENAI_FINGERPRINT),
    ):
        if isinstance(value := field(response, name), str):
            found[attribute] = value
    return found


def usage(reported: Any) -> Attributes:
    """Token counts in the spelling of either API; nothing when the API reported none."""
    found: Attributes = {}
    if reported is None:
        return found
    for names, attribute in (
        (("prompt_tokens", "input_tokens"), semconv.INPUT_TOKENS),
        (("completion_tokens", "output_tokens"), semconv.OUTPUT_TOKENS),
    ):
        for name in names:
            if isinstance(count := field(reported, name), int):
                found[attribute] = count
                break
    inputs = field(reported, "prompt_tokens_details") or field(reported, "input_tokens_details")
    outputs = field(reported, "completion_tokens_details") or field(reported, "output_tokens_details")
    for details, name, attribute in (
        (inputs, "cached_tokens", semconv.CACHED_TOKENS),
        (inputs, "cache_write_tokens", semconv.CACHE_WRITE_TOKENS),
        (outputs, "reasoning_tokens", semconv.REASONING_TOKENS),
    ):
        if details is not None and isinstance(count := field(details, name), int):
            found[attribute] = count
    return found
