"""The error of a setting."""

from __future__ import annotations


class SettingError(ValueError):
    """A setting has a wrong name or value. The message says which, where it is set, and what is right."""
