"""Timeouts of user code, and cancelling it: may import ``inputs`` and ``_execution``'s own modules."""
