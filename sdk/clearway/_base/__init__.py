"""Settings, clocks, ids and other basics that know nothing of runs; may import ``_settings`` only."""
