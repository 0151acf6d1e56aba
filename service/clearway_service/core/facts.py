"""Facts: everything that a rule may know."""

from __future__ import annotations

from typing import NamedTuple

from clearway_service.core.decisions import Ancestor
from clearway_service.core.moment import Moment
from clearway_service.core.runs import FlowRunSpec, Progress, TaskRunSpec
from clearway_service.core.states import ProposedState, State


class LimitFacts(NamedTuple):
    """A limit as seen by one run.

    Attributes:
        tag: The tag that the limit is on.
        limit: How many runs may be Running at once; 0 aborts every run.
        taken: How many runs hold a slot.
        held: Whether this run is one of them.
        queued: How many earlier proposals wait for a slot.
        ancestors: The holders whose code waits for this run.
    """

    tag: str
    limit: int
    taken: int
    held: bool
    queued: int
    ancestors: tuple[Ancestor, ...] = ()

    @property
    def free(self) -> bool:
        """Whether this run may take a slot now."""
        return self.taken < self.limit and not self.queued


class Facts(NamedTuple):
    """Everything that a rule may know about one proposal.

    Attributes:
        moment: The current time, on both of the service's clocks.
        run: The run's spec, as given at its creation.
        progress: The run's progress; None for a run that is being created.
        proposed: The proposed state.
        session_id: The session of the proposal; empty for none.
        holder: A description of the client that holds the run under another, live session; empty for none.
        cached: The state in the live cache entry of the proposed key; None if there is no such entry.
        limits: The limits on the run's tags, sorted by tag.
        draw: A uniform random number in [0, 1), derived from the proposal so that a retry gets the same one.
            0 unless the run's retry delays have jitter.
        flight: The proposed cache key as a limit of 1 on the runs that compute it; None if this run does not
            wait for such a run.
        unwanted: Whether the client has withdrawn the proposal.
    """

    moment: Moment
    run: FlowRunSpec | TaskRunSpec
    progress: Progress | None
    proposed: ProposedState
    session_id: str = ""
    holder: str = ""
    cached: State | None = None
    limits: tuple[LimitFacts, ...] = ()
    draw: float = 0.0
    flight: LimitFacts | None = None
    unwanted: bool = False
