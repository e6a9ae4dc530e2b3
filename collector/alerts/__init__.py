"""Rules over named queries: their state, their sinks, their history."""
