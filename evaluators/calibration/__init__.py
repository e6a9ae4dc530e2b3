"""Evaluators compared with human labels: drawing, annotating, label files, and whether an evaluator may gate."""
