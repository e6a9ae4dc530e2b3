"""The openai SDK: which of its calls become spans, how its requests, responses and streams are read."""
