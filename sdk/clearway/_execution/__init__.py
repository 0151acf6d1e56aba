"""How runs are executed, from a call to the final state: may import ``futures`` and what is below it."""
