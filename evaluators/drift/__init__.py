"""Drift for people: what moved, since when, how sure, where, and what changed then."""
