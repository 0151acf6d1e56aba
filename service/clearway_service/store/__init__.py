"""The store: the only place with SQL. The database is the only authority; nothing in memory decides."""
