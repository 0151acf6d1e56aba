"""One run of a task: may import all other rooms of ``_execution``."""
