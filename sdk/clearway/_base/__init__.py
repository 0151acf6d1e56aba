"""Settings, clocks, ids and the like, which know nothing of runs: imports nothing of the SDK but itself."""
