"""The phases of a task run, and the only code that changes them."""

from __future__ import annotations

from threading import Lock
from typing import Any

from clearway._states.phase import Phase
from clearway.states import State


class RunInterrupted(Exception):  # noqa: N818 - what happened; never seen outside
    """Another thread interrupted the run."""


class Lifecycle:
    """The phases of one task run.

    The thread that executes the run's steps advances the phase. Any thread may end the run; the first one to
    do so wins.

    Attributes:
        phase: The current phase. Other threads read it without the guard.
        run_count: How often the run's code was started.
    """

    __slots__ = ("_end", "_guard", "_resting", "phase", "run_count")

    def __init__(self, guard: Lock) -> None:
        """Start in ``Phase.NEW``.

        Args:
            guard: The lock held while the phase changes; shared by all runs of a flow run's attempt.
        """
        self.phase = Phase.NEW
        self.run_count = 0
        self._guard = guard
        self._resting: State[Any] | None = None
        self._end: State[Any] | None = None

    def move(self, phase: Phase) -> None:
        """Advance the run to ``phase``.

        Raises:
            RunInterrupted: Another thread has ended the run.
        """
        with self._guard:
            if self.phase is Phase.ENDED:
                raise RunInterrupted
            self.phase = phase

    def rest(self, state: State[Any]) -> None:
        """Note that the run waits for its scheduled time in ``state``; raises as ``move``."""
        self.move(Phase.RESTING)
        self._resting = state

    def begin_code(self) -> None:
        """Start the run's code, for the first time or again; raises as ``move``."""
        self.move(Phase.RUNNING)
        self.run_count += 1

    def finish(self, state: State[Any]) -> Phase:
        """End the run in ``state`` unless it has ended; return its phase before the call."""
        with self._guard:
            before = self.phase
            if before is not Phase.ENDED:
                self._end = state  # first, since other threads read the phase without the guard
                self.phase = Phase.ENDED
        return before

    @property
    def code_began(self) -> bool:
        """Whether the code is running, or has run and its end awaits a decision."""
        return self.phase in (Phase.RUNNING, Phase.ENDING)

    @property
    def end(self) -> State[Any] | None:
        """The run's final state; None until it has ended."""
        return self._end

    @property
    def resting_in(self) -> State[Any] | None:
        """The state in which the run waits for its scheduled time; None if it does not."""
        return self._resting if self.phase is Phase.RESTING else None
