"""The service's own storage of results: files beside the database. It imports errors and locations only."""
