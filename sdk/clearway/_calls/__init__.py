"""How users call tasks: may import ``_execution`` and what is below it, never ``tasks`` or ``flows``."""
