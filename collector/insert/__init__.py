"""From the durable log into the store: stages, inserts, prices, and the rows that wait for their spans."""
