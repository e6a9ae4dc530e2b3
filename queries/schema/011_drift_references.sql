-- What each score is compared with: since when its accepted level holds, and from when on it is under suspicion and no
-- part of the reference. And what each alert rule said last, so that a rule without enough data does not look quiet.
CREATE TABLE IF NOT EXISTS drift_references
(
    project        LowCardinality(String) DEFAULT 'default',
    metric         String,
    service        String,
    environment    String,
    reference_from DateTime64(3, 'UTC') DEFAULT toDateTime64(0, 3, 'UTC'),
    accepted_at    DateTime64(3, 'UTC') DEFAULT toDateTime64(0, 3, 'UTC'),
    held_since     DateTime64(3, 'UTC') DEFAULT toDateTime64(0, 3, 'UTC'),
    excluded_from  Array(DateTime64(3, 'UTC')),
    excluded_until Array(DateTime64(3, 'UTC')),
    author         String,
    note           String,
    created_at     DateTime64(3, 'UTC') DEFAULT now64(3),
    version        UInt64 DEFAULT toUnixTimestamp64Micro(now64(6)),
    is_deleted     UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project, metric, service, environment);

ALTER TABLE alert_rules ADD COLUMN IF NOT EXISTS evaluated_at Nullable(DateTime64(3, 'UTC'));

ALTER TABLE alert_rules ADD COLUMN IF NOT EXISTS insufficient_data String;
