"""Serializes results and stores them; may import ``_transport`` and below."""
