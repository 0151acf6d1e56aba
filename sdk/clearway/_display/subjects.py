"""What is drawn, as the display sees it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from clearway._states.phase import Phase
from clearway.states import State


class DrawnTaskRun(Protocol):
    """A task run.

    Attributes:
        waits_for_slots: The tags for whose slots it was last told to wait.
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
        """Return the runs that must be done before this one can begin."""
        ...

    def state_now(self) -> State[Any]:
        """Return the state that the run is in, as far as this process knows."""
        ...


class DrawnAttempt(Protocol):
    """One attempt of a flow run."""

    @property
    def cached(self) -> int:
        """How many of its task runs had their result from the cache."""
        ...

    @property
    def retries(self) -> int:
        """How often one of them was told to try again."""
        ...

    @property
    def total(self) -> int:
        """How many task runs and subflows of it have ended."""
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
        """What the runs of the flow that called it share; None at the top."""
        ...
