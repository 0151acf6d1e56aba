"""The server's logs, one JSON object per line. May import errors and texts."""
