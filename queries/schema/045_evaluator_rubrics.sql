-- By what an evaluator judges, in words, as of each of its versions: people who label beside it judge by the same.
CREATE TABLE IF NOT EXISTS evaluator_rubrics
(
    project           LowCardinality(String) DEFAULT 'default',
    name              String,
    evaluator_version String,
    unit              Enum8('span' = 1, 'trace' = 2, 'conversation' = 3) DEFAULT 'span',
    direction         LowCardinality(String) DEFAULT 'higher',
    threshold         Nullable(Float64),
    rubric            String CODEC(ZSTD(3)),
    created_at        DateTime64(3, 'UTC') DEFAULT now64(3),
    version           UInt64 DEFAULT toUnixTimestamp64Micro(now64(6))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (project, name, evaluator_version);
