"""What can be wrong with a backup."""

from __future__ import annotations


class BackupError(Exception):
    """A backup was not made, not sound, or not restored; the message says why and what would be right."""


class DamagedBackupError(BackupError):
    """A file is no backup, or not what was written. Its name is added where it was opened."""


class LaterBackupError(BackupError):
    """A backup was made by a later version. Its name is added where it was opened."""
