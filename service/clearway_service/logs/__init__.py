"""Log lines of the server, one JSON object each: may import errors and texts."""
