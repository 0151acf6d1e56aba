"""The table of settings, and how they are read: imports nothing of ours, so that SDK and service share it."""
