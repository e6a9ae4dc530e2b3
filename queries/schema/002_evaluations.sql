-- One row a judgement of a span, a trace ('' as span_id) or an experiment's result. evaluation_id is computed from
-- what was judged and by whom, so a retry overwrites. The span's dimensions are copied in: drift needs no join.
CREATE TABLE IF NOT EXISTS evaluations
(
    project           LowCardinality(String) DEFAULT 'default',
    evaluation_id     UUID,
    name              LowCardinality(String),
    evaluator_version LowCardinality(String),
    source            Enum8('code' = 1, 'llm_judge' = 2, 'human' = 3, 'user_feedback' = 4, 'sdk' = 5),
    author            LowCardinality(String),
    trace_id          String CODEC(ZSTD(1)),
    span_id           String CODEC(ZSTD(1)),
    score             Nullable(Float64) CODEC(ZSTD(1)),
    label             LowCardinality(String),
    passed            Enum8('unknown' = 0, 'pass' = 1, 'fail' = 2),
    explanation       String CODEC(ZSTD(3)),
    error             String CODEC(ZSTD(1)),
    span_time         DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    service           LowCardinality(String),
    environment       LowCardinality(String),
    request_model     LowCardinality(String),
    prompt_name       LowCardinality(String),
    prompt_version    LowCardinality(String),
    system_hash       LowCardinality(String),
    segment           LowCardinality(String),
    sample_weight     Float64 DEFAULT 1 CODEC(ZSTD(1)),
    dataset           LowCardinality(String),
    experiment_id     LowCardinality(String),
    judge_model       LowCardinality(String),
    judge_cost_usd    Nullable(Float64) CODEC(ZSTD(1)),
    judge_trace_id    String CODEC(ZSTD(1)),
    metadata          Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    created_at        DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1)),
    version           UInt64 DEFAULT toUnixTimestamp64Micro(now64(6)) CODEC(Delta(8), ZSTD(1)),
    is_deleted        UInt8 DEFAULT 0,

    INDEX by_trace_id   trace_id      TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_experiment experiment_id TYPE set(100) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(span_time)
ORDER BY (project, name, toStartOfHour(span_time), trace_id, span_id, evaluation_id);
