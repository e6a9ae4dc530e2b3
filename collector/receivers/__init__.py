"""OTLP over HTTP and gRPC: from the wire to the durable log."""
