"""The RPC handlers, without rules or SQL of their own: may import engine, result_files and below."""
