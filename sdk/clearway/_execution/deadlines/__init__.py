"""Timeouts of user code, and its cancellation: may import ``inputs`` and ``_execution``'s own modules."""
