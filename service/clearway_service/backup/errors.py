"""Errors about backups."""

from __future__ import annotations


class BackupError(Exception):
    """A backup was not made, verified or restored; the message says why and what would be right."""


class DamagedBackupError(BackupError):
    """A file is not a backup, or not what was written. The code that opened it adds its name."""


class LaterBackupError(BackupError):
    """A backup was made by a later version. The code that opened it adds its name."""
