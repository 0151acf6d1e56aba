"""The permit of a submitted task run: whether it has one, and where it waits if not."""

from __future__ import annotations

import enum

from clearway._execution.admission import Admitted, Gate


class Stage(enum.Enum):
    """Where a run is with its permit."""

    NONE = enum.auto()
    HELD = enum.auto()
    SPENT = enum.auto()  # held; its code was run, and what follows its next proposal needs no permit
    IN_SLOT_QUEUE = enum.auto()  # given back, while the run waits at the service for a slot
    IN_KEY_QUEUE = enum.auto()  # given back, while the service waits for a run that computes its cache key


_QUEUED = (Stage.IN_SLOT_QUEUE, Stage.IN_KEY_QUEUE)


class Permit:
    """The permit of one run.

    It belongs to the thread that takes the run's steps; while the run is proposed, to the transport's.
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
        """Ask for a permit; where there is none now, the run's ``go_on`` is called when there is."""
        return self._gate.enter(run)

    def hold(self) -> None:
        """Note that the gate has let the run in."""
        self.stage = Stage.HELD

    def spend(self) -> None:
        """Note that the run's code was run."""
        if self.stage is Stage.HELD:
            self.stage = Stage.SPENT

    def proposed(self) -> None:
        """Give the permit back if the run's code was run: its end, which is proposed, needs none."""
        if self.stage is Stage.SPENT:
            self.give_back()

    def queued(self, run: Admitted, *, for_slot: bool) -> None:
        """Give the permit back while the run waits at the service; again for the same wait does nothing."""
        if self.stage not in _QUEUED:
            self.stage = Stage.IN_SLOT_QUEUE if for_slot else Stage.IN_KEY_QUEUE
            self._gate.wait_at_service(run, for_slot=for_slot)

    def decided(self, run: Admitted, *, accepted: bool) -> None:
        """Take the permit again that was given back for the wait that is over, if the run may start."""
        if self.stage in _QUEUED:
            for_slot = self.stage is Stage.IN_SLOT_QUEUE
            self.stage = Stage.HELD if accepted else Stage.NONE
            self._gate.granted(run, keep=accepted, for_slot=for_slot)

    def give_back(self) -> None:
        """Give the permit back, where it is held."""
        if self.is_held:
            self.stage = Stage.NONE
            self._gate.leave()
