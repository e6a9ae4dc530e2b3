"""A dataset through a target, scored, stored and compared."""
