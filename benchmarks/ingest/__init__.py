"""Ingest, measured: evalspan beside the servers that people would run instead."""
