"""The service and composition root: OTLP in, durable log, sampling, inserts, online evaluation, alerts, dashboard."""
