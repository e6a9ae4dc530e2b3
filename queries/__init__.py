"""Everything that is SQL: the store's client, its schema, the named queries, drift, exports."""
