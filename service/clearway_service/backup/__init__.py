"""Backups: saving, verifying and restoring a database with its results. Imports ``store``, no engine."""
