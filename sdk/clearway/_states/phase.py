"""The phases of a task run in this process."""

from __future__ import annotations

import enum


class Phase(enum.Enum):
    """The phase that a run is in, as far as this process knows."""

    NEW = enum.auto()  # nothing has been proposed yet
    PROPOSED = enum.auto()  # its start was proposed, and there is no final decision yet
    RUNNING = enum.auto()
    RESTING = enum.auto()  # the service told it to propose again later
    ENDING = enum.auto()  # its end was proposed
    ENDED = enum.auto()
