-- What people leave on the dashboard: addresses that they named for the team, and what was done about an alert or finding.
CREATE TABLE IF NOT EXISTS saved_views
(
    project    LowCardinality(String) DEFAULT 'default',
    view_id    String,
    name       String,
    address    String,
    author     String,
    created_at DateTime64(3, 'UTC') DEFAULT now64(3),
    version    UInt64 DEFAULT toUnixTimestamp64Micro(now64(6)),
    is_deleted UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project, view_id);

CREATE TABLE IF NOT EXISTS alert_notes
(
    project    LowCardinality(String) DEFAULT 'default',
    note_id    String,
    about      String,
    kind       LowCardinality(String),
    author     String,
    note       String CODEC(ZSTD(1)),
    created_at DateTime64(3, 'UTC') DEFAULT now64(3),
    version    UInt64 DEFAULT toUnixTimestamp64Micro(now64(6)),
    is_deleted UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project, about, note_id);
