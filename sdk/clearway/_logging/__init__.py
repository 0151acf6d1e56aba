"""How log lines reach the service: may import ``context`` and what is below it."""
