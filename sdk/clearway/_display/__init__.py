"""The progress of flows, drawn on the terminal while they run: may import ``states`` and what is below it."""
