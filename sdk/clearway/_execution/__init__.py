"""Execution of runs, from a call to the final state: may import ``futures`` and what is below it."""
