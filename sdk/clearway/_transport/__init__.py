"""The connection to the service, embedded or a server: may import ``exceptions`` and what is below it."""
