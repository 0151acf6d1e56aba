"""Runs that end early, by an interrupt or a lost lease: may import ``_execution``'s own modules."""
