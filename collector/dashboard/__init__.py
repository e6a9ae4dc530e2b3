"""The pages that `evalspan serve` shows, one a file."""
