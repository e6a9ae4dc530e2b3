-- One row a span, written once and never changed. A span that arrives twice has the same sorting key, so
-- ReplacingMergeTree keeps one, and readers (final = 1) see one before any merge.
CREATE TABLE IF NOT EXISTS spans
(
    project          LowCardinality(String) DEFAULT 'default',
    trace_id         String CODEC(ZSTD(1)),
    span_id          String CODEC(ZSTD(1)),
    parent_span_id   String CODEC(ZSTD(1)),
    trace_state      String CODEC(ZSTD(1)),
    start_time       DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    duration_ns      UInt64 CODEC(T64, ZSTD(1)),
    name             LowCardinality(String) CODEC(ZSTD(1)),
    kind             Enum8('UNSPECIFIED' = 0, 'INTERNAL' = 1, 'SERVER' = 2, 'CLIENT' = 3, 'PRODUCER' = 4, 'CONSUMER' = 5),
    status           Enum8('UNSET' = 0, 'OK' = 1, 'ERROR' = 2),
    status_message   String CODEC(ZSTD(1)),
    error_type       LowCardinality(String),
    service          LowCardinality(String),
    environment      LowCardinality(String),
    scope_name       LowCardinality(String),
    scope_version    LowCardinality(String),
    operation        LowCardinality(String),
    provider         LowCardinality(String),
    request_model    LowCardinality(String),
    response_model   LowCardinality(String),
    agent_name       LowCardinality(String),
    tool_name        LowCardinality(String),
    prompt_name      LowCardinality(String),
    prompt_version   LowCardinality(String),
    system_hash      LowCardinality(String),
    conversation_id  String CODEC(ZSTD(1)),
    user_id          String CODEC(ZSTD(1)),
    input_tokens     UInt32 CODEC(T64, ZSTD(1)),
    output_tokens    UInt32 CODEC(T64, ZSTD(1)),
    cached_tokens    UInt32 CODEC(T64, ZSTD(1)),
    reasoning_tokens UInt32 CODEC(T64, ZSTD(1)),
    cost_usd         Nullable(Float64) CODEC(ZSTD(1)),
    ttft_s           Nullable(Float32) CODEC(ZSTD(1)),
    input            String CODEC(ZSTD(3)),
    output           String CODEC(ZSTD(3)),
    input_preview    String DEFAULT leftUTF8(input, 200) CODEC(ZSTD(1)),
    output_preview   String DEFAULT leftUTF8(output, 200) CODEC(ZSTD(1)),
    attributes       Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    resource         Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    events           Array(Tuple(time DateTime64(9, 'UTC'), name LowCardinality(String), attributes Map(LowCardinality(String), String))) CODEC(ZSTD(1)),
    links            Array(Tuple(trace_id String, span_id String)) CODEC(ZSTD(1)),
    sample_weight    Float64 DEFAULT 1 CODEC(ZSTD(1)),
    sample_rule      LowCardinality(String),
    ingested_at      DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1)),
    -- When the row came into the table: later than ingested_at by whatever the log, an outage or the tail sampler took.
    -- Readers that follow the table keep their place in this one, so that what comes late is not missed.
    inserted_at      DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1)),

    INDEX by_trace_id     trace_id          TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_span_id      span_id           TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_conversation conversation_id   TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_user         user_id           TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_attribute    mapKeys(attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_ingested_at  ingested_at       TYPE minmax GRANULARITY 1,
    INDEX by_inserted_at  inserted_at       TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(ingested_at)
PARTITION BY toDate(start_time)
PRIMARY KEY (project, toStartOfHour(start_time), trace_id)
ORDER BY (project, toStartOfHour(start_time), trace_id, span_id)
SETTINGS non_replicated_deduplication_window = 10000;
