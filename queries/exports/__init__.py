"""Regression cases in the formats of other tools, one a file."""
