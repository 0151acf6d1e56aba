"""Runs and attempts as the display sees them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from clearway._states.phase import Phase
from clearway.states import State


class DrawnTaskRun(Protocol):
    """A task run.

    Attributes:
        waits_for_slots: The tags whose slots the service last made it wait for.
    """

    waits_for_slots: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name, for people."""
        ...

    @property
    def phase(self) -> Phase:
        """How far it has come."""
        ...

    def waits_for(self) -> Collection[Any]:
        """Return the futures that must be done before this run can begin."""
        ...

    def state_now(self) -> State[Any]:
        """Return the run's current state, as far as this process knows."""
        ...


class DrawnAttempt(Protocol):
    """One attempt of a flow run."""

    @property
    def cached(self) -> int:
        """How many of its task runs took their result from the cache."""
        ...

    @property
    def retries(self) -> int:
        """How many retries were scheduled."""
        ...

    @property
    def total(self) -> int:
        """How many of its task runs and subflows have ended."""
        ...

    @property
    def failures(self) -> int:
        """How many of them did not complete."""
        ...

    def open_runs(self) -> Sequence[DrawnTaskRun]:
        """Return the task runs that have not ended."""
        ...


class DrawnFlowRun(Protocol):
    """A flow run.

    Attributes:
        run_id: Its UUID.
        name: Its name, for people.
    """

    run_id: str
    name: str

    @property
    def parent(self) -> object | None:
        """The attempt of the flow run that called it; None if it is the outermost."""
        ...
