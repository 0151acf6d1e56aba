"""Values as canonical JSON, from which cache keys are made: may import ``_base`` only."""
