"""The kinds of errors that end runs; public in ``clearway.run_errors``."""

from __future__ import annotations

import enum


class RunErrorKind(enum.IntEnum):
    """What kind of error ended a run. The numbers are those of the protocol."""

    __module__ = "clearway.run_errors"

    UNKNOWN = 0
    """Unknown: the client did not set a kind, or this version of the package does not know it."""
    APPLICATION = 1
    """The run's own code failed."""
    TIMEOUT = 2
    """The run took longer than its ``timeout_seconds``."""
    CANCELLED = 3
    """The run was cancelled or interrupted."""
    LOST = 4
    """The process that ran it died, or lost its session."""
    UPSTREAM = 5
    """A run that it depends on did not complete, so its code did not start."""
    RESULT = 6
    """The run's code succeeded, but its result could not be stored or read."""

    @classmethod
    def _missing_(cls, value: object) -> RunErrorKind:
        del value
        return cls.UNKNOWN
