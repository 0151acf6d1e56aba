"""How flows and tasks are defined, and the checks: may import ``states`` and what is below it."""
