"""The permit of a submitted task run, and the queue it waits in without one."""

from __future__ import annotations

import enum

from clearway._execution.admission import Admitted, Gate


class Stage(enum.Enum):
    """Whether a run holds its permit, and if not, why."""

    NONE = enum.auto()
    HELD = enum.auto()
    SPENT = enum.auto()  # still held, but the code has run: the next proposal and what follows need none
    IN_SLOT_QUEUE = enum.auto()  # given back while the run is queued at the service for a slot
    IN_KEY_QUEUE = enum.auto()  # given back while the service waits for another run to compute its cache key


_QUEUED = (Stage.IN_SLOT_QUEUE, Stage.IN_KEY_QUEUE)


class Permit:
    """The permit of one run.

    Only the thread that executes the run's steps may use it; while a proposal is open, the transport's.
    """

    __slots__ = ("_gate", "stage")

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.stage = Stage.NONE

    @property
    def is_held(self) -> bool:
        """Whether the run may continue."""
        return self.stage is Stage.HELD or self.stage is Stage.SPENT

    def ask(self, run: Admitted) -> bool:
        """Take a permit; if none is free, return False and call the run's ``go_on`` when one is."""
        return self._gate.enter(run)

    def hold(self) -> None:
        """Note that the gate has admitted the run."""
        self.stage = Stage.HELD

    def spend(self) -> None:
        """Note that the run's code has run."""
        if self.stage is Stage.HELD:
            self.stage = Stage.SPENT

    def proposed(self) -> None:
        """Give the permit back if the run's code has run: proposing its end needs none."""
        if self.stage is Stage.SPENT:
            self.give_back()

    def queued(self, run: Admitted, *, for_slot: bool) -> None:
        """Give the permit back while the run waits at the service. Repeated calls have no effect."""
        if self.stage not in _QUEUED:
            self.stage = Stage.IN_SLOT_QUEUE if for_slot else Stage.IN_KEY_QUEUE
            self._gate.wait_at_service(run, for_slot=for_slot)

    def decided(self, run: Admitted, *, accepted: bool) -> None:
        """Take the permit back after a wait at the service, if the run was accepted."""
        if self.stage in _QUEUED:
            for_slot = self.stage is Stage.IN_SLOT_QUEUE
            self.stage = Stage.HELD if accepted else Stage.NONE
            self._gate.granted(run, keep=accepted, for_slot=for_slot)

    def give_back(self) -> None:
        """Give the permit back if it is held."""
        if self.is_held:
            self.stage = Stage.NONE
            self._gate.leave()
