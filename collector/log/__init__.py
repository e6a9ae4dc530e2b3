"""The durable log: between the acknowledgement a client gets and the insert that ClickHouse takes."""
