"""The parts of a state, and how its result is read; may import ``results`` and below."""
