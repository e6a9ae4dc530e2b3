"""Scores on demand: a suite over stored outputs or over stored spans."""
