"""Backups: a database with its results as one file, checked, and restored. Imports ``store``, no engine."""
