"""The operations of the client; may import ``schemas``, ``context`` and below."""
