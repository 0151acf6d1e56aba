"""Running flows and tasks: what is proposed when, and what follows from each answer."""
