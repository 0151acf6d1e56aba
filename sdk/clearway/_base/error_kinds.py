"""The kinds of errors that end runs; offered in ``clearway.run_errors``."""

from __future__ import annotations

import enum


class RunErrorKind(enum.IntEnum):
    """What kind of error ended a run, for programs. The numbers are the protocol's."""

    __module__ = "clearway.run_errors"

    UNKNOWN = 0
    """Not known: set by no client, or by one with more kinds than this version of the package has."""
    APPLICATION = 1
    """The run's own code failed."""
    TIMEOUT = 2
    """The run took longer than its ``timeout_seconds``."""
    CANCELLED = 3
    """The run was cancelled or interrupted."""
    LOST = 4
    """The process that ran it died or lost its session."""
    UPSTREAM = 5
    """A run that it depends on did not complete, so its code did not start."""
    RESULT = 6
    """Its code succeeded, but its result could not be stored or read."""

    @classmethod
    def _missing_(cls, value: object) -> RunErrorKind:
        del value
        return cls.UNKNOWN
