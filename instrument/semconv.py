"""Every attribute, event and operation name that spans carry: the first of the three contracts; imports nothing.

Names follow the OpenTelemetry GenAI semantic conventions as of 2026; what they lack is under `evalspan.`.
"""

from __future__ import annotations

# What is called, by whom
OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_ID = "gen_ai.response.id"
FINISH_REASONS = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"  # seconds, streams only
REQUEST_STREAM = "gen_ai.request.stream"
CONVERSATION_ID = "gen_ai.conversation.id"
AGENT_NAME = "gen_ai.agent.name"
WORKFLOW_NAME = "gen_ai.workflow.name"
TOOL_NAME = "gen_ai.tool.name"
TOOL_CALL_ID = "gen_ai.tool.call.id"
TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_RESULT = "gen_ai.tool.call.result"
TOOL_DEFINITIONS = "gen_ai.tool.definitions"
PROMPT_NAME = "gen_ai.prompt.name"
PROMPT_VERSION = "gen_ai.prompt.version"
DATA_SOURCE_ID = "gen_ai.data_source.id"
RETRIEVAL_QUERY = "gen_ai.retrieval.query.text"
RETRIEVAL_DOCUMENTS = "gen_ai.retrieval.documents"
RETRIEVAL_TOP_K = "gen_ai.retrieval.top_k"
USER_ID = "user.id"
SESSION_ID = "session.id"
MCP_SESSION_ID = "mcp.session.id"
ERROR_TYPE = "error.type"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
SERVICE_NAME = "service.name"
ENVIRONMENT = "deployment.environment.name"

# What was asked for
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE = "gen_ai.request.temperature"
REQUEST_TOP_P = "gen_ai.request.top_p"
REQUEST_TOP_K = "gen_ai.request.top_k"
REQUEST_FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY = "gen_ai.request.presence_penalty"
REQUEST_STOP_SEQUENCES = "gen_ai.request.stop_sequences"
REQUEST_SEED = "gen_ai.request.seed"
REQUEST_CHOICE_COUNT = "gen_ai.request.choice.count"
REQUEST_REASONING_LEVEL = "gen_ai.request.reasoning.level"
REQUEST_PREVIOUS_RESPONSE_ID = "gen_ai.request.previous_response.id"
REQUEST_ENCODING_FORMATS = "gen_ai.request.encoding_formats"
EMBEDDING_DIMENSIONS = "gen_ai.embeddings.dimension.count"
OUTPUT_TYPE = "gen_ai.output.type"
OPENAI_REQUEST_TIER = "openai.request.service_tier"
OPENAI_RESPONSE_TIER = "openai.response.service_tier"
OPENAI_FINGERPRINT = "openai.response.system_fingerprint"
OPENAI_API_TYPE = "openai.api.type"
RESEND_COUNT = "http.request.resend_count"  # retries inside one call

# Content (JSON strings in the shape of the published message schemas)
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"

# Usage
INPUT_TOKENS = "gen_ai.usage.input_tokens"  # includes cached tokens
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS = "gen_ai.usage.cache_write.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
# Parts of the two totals, by modality (conventions v0.1.0)
TEXT_INPUT_TOKENS = "gen_ai.usage.text.input_tokens"
AUDIO_INPUT_TOKENS = "gen_ai.usage.audio.input_tokens"
IMAGE_INPUT_TOKENS = "gen_ai.usage.image.input_tokens"
VIDEO_INPUT_TOKENS = "gen_ai.usage.video.input_tokens"
TEXT_OUTPUT_TOKENS = "gen_ai.usage.text.output_tokens"
AUDIO_OUTPUT_TOKENS = "gen_ai.usage.audio.output_tokens"
IMAGE_OUTPUT_TOKENS = "gen_ai.usage.image.output_tokens"
# What a price depends on beside tokens; the conventions have no names for it
CACHE_WRITE_1H_TOKENS = "evalspan.usage.cache_write_1h.input_tokens"  # the part of the cache writes kept for an hour
CACHED_AUDIO_TOKENS = "evalspan.usage.cache_read.audio.input_tokens"  # the part of the cached tokens that is audio
WEB_SEARCHES = "evalspan.usage.web_searches"  # run by the provider during the call
FILE_SEARCHES = "evalspan.usage.file_searches"  # of the provider's own storage
SERVER_TOOL_PREFIX = "evalspan.usage.server_tool."  # uses of any other tool of the provider's, by the API's name of it
INFERENCE_GEO = "evalspan.inference_geo"  # where the provider was told to compute, when it says so
SERVICE_TIER = "evalspan.service_tier"  # what served the call: standard, flex, priority, batch, fast
USAGE_ESTIMATED = "evalspan.usage.estimated"  # true: a library counted the tokens itself, the API did not report them
REPORTED_COST_USD = "evalspan.reported_cost_usd"  # what a gateway says that the call cost

# Scores
EVALUATION_EVENT = "gen_ai.evaluation.result"
EVALUATION_NAME = "gen_ai.evaluation.name"
EVALUATION_SCORE = "gen_ai.evaluation.score.value"
EVALUATION_LABEL = "gen_ai.evaluation.score.label"
EVALUATION_EXPLANATION = "gen_ai.evaluation.explanation"

CONTENT_EVENT = "gen_ai.client.inference.operation.details"

# Ours
# call, agent, tool, retrieval, workflow or other; written by the collector, unless the app's instrumentation knows better
ROLE = "evalspan.role"
ROLE_OTHER = "other"
NESTED_OPERATION = "evalspan.nested_operation"  # of a call inside a call that is no call; by the collector
REPLACES = "evalspan.replaces"  # spans of the trace whose role this one changes, "SPAN_ID=ROLE"; by the collector
COST_USD = "evalspan.cost_usd"
TAG_PREFIX = "evalspan.tag."
TRUNCATED = "evalspan.truncated"  # names of the attributes that were cut
START_TIME_SAID = "evalspan.start_time_unix_nano"  # where it could not be used: missing, or after the year 2262
SAMPLE_WEIGHT = "evalspan.sample_weight"  # 1/probability, written by the sampler
SAMPLE_RULE = "evalspan.sample_rule"
# 1/probability of the whole conversation, where sampling goes by conversation and kept all of its traces
CONVERSATION_WEIGHT = "evalspan.conversation_weight"
CONTENT_DROPPED = "evalspan.content_dropped"  # by the content policy: true
ABANDONED = "evalspan.stream.abandoned"  # nobody read the response to its end
RESPONSE_STATUS = "evalspan.response.status"  # of a run that is still going: queued, in_progress
KEEP = "evalspan.keep"  # a span with this set to true is always kept
INPUT_VALUE = "evalspan.input"  # arguments of an observed function, JSON
OUTPUT_VALUE = "evalspan.output"  # result of an observed function, JSON
CONTEXT = (
    "evalspan.context"  # what the answer has to rest on, said by the application: text, or a JSON list of passages
)
EVALUATION_SOURCE = "evalspan.evaluation.source"

PROVIDER_OPENAI = "openai"
PROVIDER_AZURE = "azure.ai.openai"
PROVIDER_ANTHROPIC = "anthropic"
PROVIDER_BEDROCK = "aws.bedrock"
PROVIDER_VERTEX = "gcp.vertex_ai"

OPERATION_CHAT = "chat"
OPERATION_GENERATE = "generate_content"
OPERATION_FETCH = "fetch_response"
OPERATION_MODERATE = "moderate"
OPERATION_COMPLETION = "text_completion"
OPERATION_EMBEDDINGS = "embeddings"
OPERATION_RETRIEVAL = "retrieval"
OPERATION_TOOL = "execute_tool"
OPERATION_AGENT = "invoke_agent"
OPERATION_WORKFLOW = "invoke_workflow"
