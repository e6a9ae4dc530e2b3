"""What tracing costs the app: this project against the bare SDKs, a bare span and other instrumentations."""
