"""The ClickHouse HTTP protocol, read-only, in front of the embedded store."""
