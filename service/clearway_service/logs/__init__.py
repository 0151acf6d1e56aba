"""The server's logs, one JSON object per line: may import errors and texts."""
