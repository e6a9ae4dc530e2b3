"""Failing traces as regression cases: selected by SQL, one per cluster, in the shape of a dataset's line."""
