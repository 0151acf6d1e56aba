"""How far a task run has come."""

from __future__ import annotations

import enum


class Phase(enum.Enum):
    """How far a run has come, as this process knows it."""

    NEW = enum.auto()  # the service was not asked yet
    PROPOSED = enum.auto()  # asked to start, and not answered finally
    RUNNING = enum.auto()
    RESTING = enum.auto()  # told to come back later
    ENDING = enum.auto()  # its end was proposed
    ENDED = enum.auto()
