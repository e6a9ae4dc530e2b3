"""From experiment results to passed, failed or inconclusive."""
