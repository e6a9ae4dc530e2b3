"""The evaluators that come with evalspan."""
