"""The attributes that columns of `spans` are made of, as the decoder's views look them up."""

from __future__ import annotations

from ...instrument import semconv

SYSTEM = "gen_ai.system"
ENVIRONMENT_BEFORE = "deployment.environment"
CACHE_CREATION_TOKENS = "gen_ai.usage.cache_creation.input_tokens"
CACHE_WRITE_1H_TOKENS = "evalspan.usage.cache_write_1h.input_tokens"
COST_SAID = "gen_ai.usage.cost"
END_USER = "enduser.id"

TAKEN_OVER = {
    semconv.ERROR_TYPE: "error_type",
    semconv.REQUEST_MODEL: "request_model",
    semconv.RESPONSE_MODEL: "response_model",
    semconv.AGENT_NAME: "agent_name",
    semconv.TOOL_NAME: "tool_name",
    semconv.PROMPT_NAME: "prompt_name",
    semconv.PROMPT_VERSION: "prompt_version",
    semconv.SAMPLE_RULE: "sample_rule",
}
"""Attribute to column, where the value is the cell."""
FIRST_FILLED = {
    "conversation_id": (semconv.CONVERSATION_ID, semconv.SESSION_ID),
    "user_id": (semconv.USER_ID, END_USER),
}
"""Column to the attributes of which the first that is filled counts."""
BODIES_IN = (semconv.INPUT_MESSAGES, semconv.TOOL_ARGUMENTS, semconv.RETRIEVAL_QUERY, semconv.INPUT_VALUE)
BODIES_OUT = (semconv.OUTPUT_MESSAGES, semconv.TOOL_RESULT, semconv.RETRIEVAL_DOCUMENTS, semconv.OUTPUT_VALUE)
NUMBERS = frozenset(
    {
        semconv.INPUT_TOKENS,
        semconv.OUTPUT_TOKENS,
        semconv.CACHED_TOKENS,
        semconv.REASONING_TOKENS,
        semconv.CACHE_WRITE_TOKENS,
        CACHE_CREATION_TOKENS,
        CACHE_WRITE_1H_TOKENS,
        semconv.AUDIO_INPUT_TOKENS,
        semconv.CACHED_AUDIO_TOKENS,
        semconv.AUDIO_OUTPUT_TOKENS,
        semconv.IMAGE_INPUT_TOKENS,
        semconv.IMAGE_OUTPUT_TOKENS,
        semconv.VIDEO_INPUT_TOKENS,
        semconv.WEB_SEARCHES,
        semconv.FILE_SEARCHES,
        semconv.COST_USD,
        semconv.REPORTED_COST_USD,
        COST_SAID,
        semconv.TIME_TO_FIRST_CHUNK,
        semconv.SAMPLE_WEIGHT,
    }
)
WANTED = frozenset(
    name.encode()
    for name in (
        *TAKEN_OVER,
        *(name for names in FIRST_FILLED.values() for name in names),
        *BODIES_IN,
        *BODIES_OUT,
        *NUMBERS,
        semconv.OPERATION,
        semconv.ROLE,
        semconv.PROVIDER,
        SYSTEM,
        semconv.SERVICE_TIER,
        semconv.OPENAI_RESPONSE_TIER,
        semconv.OPENAI_REQUEST_TIER,
        semconv.RESPONSE_STATUS,
        semconv.ENVIRONMENT,
        semconv.SYSTEM_INSTRUCTIONS,
    )
)
NUMBER_KEYS = frozenset(name.encode() for name in NUMBERS)
