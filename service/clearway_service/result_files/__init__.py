"""The service's own storage of results: files beside the database. It imports only errors and locations."""
