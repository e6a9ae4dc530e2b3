"""Traces and conversations as units of evaluation: the models that evaluators get, and the evaluators built on them."""
