"""The exception for wrong settings."""

from __future__ import annotations


class SettingError(ValueError):
    """A setting has a wrong name or value; the message says which, where it is set, and what is right."""
