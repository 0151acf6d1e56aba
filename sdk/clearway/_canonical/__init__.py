"""Canonical JSON of values, from which cache keys are computed; may import ``_base`` only."""
