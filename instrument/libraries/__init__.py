"""The hooks into the LLM SDKs, one file a library."""
