"""The durable log: an acknowledged request is on disk here before it is answered."""
