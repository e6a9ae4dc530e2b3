"""The store: ClickHouse, embedded or a server, its engine, schema migrations and lock file, behind one client."""
