"""What flows and tasks are defined by, and its checks: may import ``states`` and what is below it."""
