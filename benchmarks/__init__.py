"""Speed claims, measured: each folder is one benchmark, started by `python -m benchmarks.NAME`."""
