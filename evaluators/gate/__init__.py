"""The gate: passed, failed or inconclusive, from a dataset, a target and a suite; nothing fails open."""
