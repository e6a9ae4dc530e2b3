"""Lives in the user's process: one line switches it on, the LLM SDKs' calls become OpenTelemetry spans."""
