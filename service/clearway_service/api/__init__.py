"""The API: RPC handlers, without rules and SQL. May import engine, result_files and below."""
