"""From a span or an example to a score, from scores to a verdict."""
