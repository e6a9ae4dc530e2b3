"""Examples and datasets as files: partitions, approvals, contamination."""
