"""Backups save and restore a database with its results as one file: may import store and below, no engine."""
