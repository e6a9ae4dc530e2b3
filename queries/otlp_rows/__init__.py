"""Rows of `spans` out of OTLP requests for the embedded store, where planning the decoder's views costs more than the rows."""
