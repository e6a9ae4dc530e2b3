-- Test cases with where they came from, and what experiments made of them.
CREATE TABLE IF NOT EXISTS examples
(
    project         LowCardinality(String) DEFAULT 'default',
    dataset         LowCardinality(String),
    example_id      String,
    partition       Enum8('golden' = 1, 'regression' = 2, 'adversarial' = 3, 'distribution' = 4),
    input           String CODEC(ZSTD(3)),
    expected_output Nullable(String) CODEC(ZSTD(3)),
    metadata        String DEFAULT '{}' CODEC(ZSTD(1)),
    tags            Array(LowCardinality(String)),
    root_cause      String CODEC(ZSTD(1)),
    fix             String CODEC(ZSTD(1)),
    reviewers       Array(LowCardinality(String)),
    source_trace_id String CODEC(ZSTD(1)),
    source_span_id  String CODEC(ZSTD(1)),
    reason          String CODEC(ZSTD(1)),
    content_hash    String DEFAULT lower(hex(sipHash128(input, ifNull(expected_output, '')))) CODEC(ZSTD(1)),
    created_at      DateTime64(3, 'UTC') DEFAULT now64(3),
    version         UInt64 DEFAULT toUnixTimestamp64Micro(now64(6)),
    is_deleted      UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project, dataset, example_id);

CREATE TABLE IF NOT EXISTS experiments
(
    project        LowCardinality(String) DEFAULT 'default',
    experiment_id  String,
    name           String,
    dataset        LowCardinality(String),
    dataset_hash   String,
    target         String,
    suite          String,
    model          LowCardinality(String),
    prompt_name    LowCardinality(String),
    prompt_version LowCardinality(String),
    system_hash    LowCardinality(String),
    git_sha        String,
    config         String DEFAULT '{}' CODEC(ZSTD(1)),
    summary        String DEFAULT '{}' CODEC(ZSTD(1)),
    status         LowCardinality(String),
    started_at     DateTime64(3, 'UTC') DEFAULT now64(3),
    finished_at    Nullable(DateTime64(3, 'UTC')),
    version        UInt64 DEFAULT toUnixTimestamp64Micro(now64(6)),
    is_deleted     UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project, experiment_id);

CREATE TABLE IF NOT EXISTS experiment_results
(
    project        LowCardinality(String) DEFAULT 'default',
    experiment_id  String,
    example_id     String,
    repeat         UInt16 DEFAULT 0,
    partition      LowCardinality(String),
    model          LowCardinality(String),
    prompt_version LowCardinality(String),
    output         String CODEC(ZSTD(3)),
    error          String CODEC(ZSTD(1)),
    passed         Enum8('unknown' = 0, 'pass' = 1, 'fail' = 2),
    failure_reason String CODEC(ZSTD(1)),
    scores         Map(LowCardinality(String), Float64),
    metrics        String DEFAULT '{}' CODEC(ZSTD(3)),
    latency_ms     Float64,
    cost_usd       Nullable(Float64),
    trace_id       String CODEC(ZSTD(1)),
    span_id        String CODEC(ZSTD(1)),
    created_at     DateTime64(3, 'UTC') DEFAULT now64(3),
    version        UInt64 DEFAULT toUnixTimestamp64Micro(now64(6)),
    is_deleted     UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project, experiment_id, example_id, repeat);
