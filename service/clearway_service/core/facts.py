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
    """All that a rule may know about one proposal.

    Attributes:
        moment: The time, on both of the service's clocks.
        run: What was said of the run when it was created.
        progress: How far it has come; None for a run that is being created.
        proposed: The state that it proposes.
        session_id: The session of the proposal; empty for none.
        holder: Who holds the run under another, live session, for people; empty where nobody does.
        cached: The live cache entry's state for the proposed key; None where there is none.
        limits: The limits on the run's tags, sorted by tag.
        draw: What chance says about this proposal: from 0 and below 1, evenly; always the same for the same
            proposal. Drawn where the run's retries are spread at random.
        flight: Who computes the proposed cache key, as if that were a limit of one; None where the run does
            not wait for anybody who does.
        unwanted: Whether nobody wants the run to go on any more.
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
