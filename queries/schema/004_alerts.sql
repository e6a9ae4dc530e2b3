-- What is watched, what fired, and how far each background reader of the store has come.
CREATE TABLE IF NOT EXISTS alert_rules
(
    project    LowCardinality(String) DEFAULT 'default',
    rule_id    String,
    name       String,
    kind       LowCardinality(String),
    query      String,
    parameters String DEFAULT '{}',
    condition  String,
    severity   LowCardinality(String),
    interval_s UInt32 DEFAULT 60,
    enabled    Bool DEFAULT true,
    silenced_until Nullable(DateTime64(3, 'UTC')),
    created_at DateTime64(3, 'UTC') DEFAULT now64(3),
    version    UInt64 DEFAULT toUnixTimestamp64Micro(now64(6)),
    is_deleted UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project, rule_id);

CREATE TABLE IF NOT EXISTS alerts
(
    project     LowCardinality(String) DEFAULT 'default',
    alert_id    String,
    rule_id     String,
    name        String,
    severity    LowCardinality(String),
    state       Enum8('ok' = 0, 'firing' = 1, 'resolved' = 2, 'error' = 3),
    started_at  DateTime64(3, 'UTC') DEFAULT now64(3),
    ended_at    Nullable(DateTime64(3, 'UTC')),
    window_from DateTime64(3, 'UTC'),
    window_to   DateTime64(3, 'UTC'),
    value       Nullable(Float64),
    baseline    Nullable(Float64),
    low         Nullable(Float64),
    high        Nullable(Float64),
    p_value     Nullable(Float64),
    n_base      UInt64,
    n_now       UInt64,
    labels      Map(LowCardinality(String), String),
    message     String CODEC(ZSTD(1)),
    details     String DEFAULT '{}' CODEC(ZSTD(1)),
    version     UInt64 DEFAULT toUnixTimestamp64Micro(now64(6)),
    is_deleted  UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project, rule_id, alert_id);

CREATE TABLE IF NOT EXISTS cursors
(
    project      LowCardinality(String) DEFAULT 'default',
    consumer     String,
    position     DateTime64(3, 'UTC'),
    position_key String,
    version      UInt64 DEFAULT toUnixTimestamp64Micro(now64(6))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (project, consumer);
