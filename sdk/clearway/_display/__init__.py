"""The progress of flows, drawn on the terminal while they run."""
