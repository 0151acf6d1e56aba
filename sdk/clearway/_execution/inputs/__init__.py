"""The upstream runs that a run's arguments come from: may import nothing else of ``_execution``."""
