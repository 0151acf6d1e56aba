"""Runs that end early, after an interrupt or a lost lease: may import ``_execution``'s own modules."""
