"""The service's own storage of results, files beside the database: may import errors and core.locations."""
