"""How far a task run has come: the one place where its phase changes."""

from __future__ import annotations

from threading import Lock
from typing import Any

from clearway._states.phase import Phase
from clearway.states import State


class RunInterrupted(Exception):  # noqa: N818 - what happened; never seen outside
    """The run was interrupted by another thread than that which takes its steps."""


class Lifecycle:
    """The phases of one task run.

    The thread that takes the run's steps moves it on; any thread may end it, and the first that does counts.

    Attributes:
        phase: How far the run has come. Others look at it without the guard.
        run_count: How often its code was begun.
    """

    __slots__ = ("_end", "_guard", "_resting", "phase", "run_count")

    def __init__(self, guard: Lock) -> None:
        """Begin at the beginning.

        Args:
            guard: Held while the phase changes; one for all runs of an attempt of a flow run.
        """
        self.phase = Phase.NEW
        self.run_count = 0
        self._guard = guard
        self._resting: State[Any] | None = None
        self._end: State[Any] | None = None

    def move(self, phase: Phase) -> None:
        """Move the run on.

        Raises:
            RunInterrupted: It was interrupted meanwhile, and goes no further.
        """
        with self._guard:
            if self.phase is Phase.ENDED:
                raise RunInterrupted
            self.phase = phase

    def rest(self, state: State[Any]) -> None:
        """Have the run wait for a time to come; raises as ``move``."""
        self.move(Phase.RESTING)
        self._resting = state

    def begin_code(self) -> None:
        """Begin with the run's code, once more; raises as ``move``."""
        self.move(Phase.RUNNING)
        self.run_count += 1

    def finish(self, state: State[Any]) -> Phase:
        """End the run in a state, unless it has ended; return how far it had come."""
        with self._guard:
            before = self.phase
            if before is not Phase.ENDED:
                self._end = state  # first, since others look at the phase without the guard
                self.phase = Phase.ENDED
        return before

    @property
    def code_began(self) -> bool:
        """Whether the run's code runs, or has and its end is being decided."""
        return self.phase in (Phase.RUNNING, Phase.ENDING)

    @property
    def end(self) -> State[Any] | None:
        """The state that the run has ended in; None before."""
        return self._end

    @property
    def resting_in(self) -> State[Any] | None:
        """The state in which the run waits for a time to come; None where it does not."""
        return self._resting if self.phase is Phase.RESTING else None
