"""How users call flows and tasks: may import ``_execution`` and below, never ``tasks`` or ``flows``."""
