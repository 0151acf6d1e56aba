"""What a run is given from upstream: may import nothing else of ``_execution``."""
