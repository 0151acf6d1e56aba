"""What the client can ask of the service: may import ``schemas``, ``context`` and what is below them."""
