"""Schedules evaluators over stored spans; the span store is the queue."""
