"""The definitions of flows and tasks and the checks of their options; may import ``_states`` and below."""
