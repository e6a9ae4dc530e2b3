"""Runs dataset cases as pytest tests with the gate's verdicts; does nothing until it is asked to."""
