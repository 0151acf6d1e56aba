"""Proposals and what became of them."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from clearway_service.core.decisions import Decision
from clearway_service.core.resources import Resource
from clearway_service.core.runs import FlowRunSpec, RunKind, TaskRunSpec
from clearway_service.core.states import ProposedState, State


class Proposal(NamedTuple):
    """A request to move a run into a state.

    Attributes:
        id: The proposal's UUID, and that of the state it makes.
        kind: Whose run it is for.
        run_id: The run's UUID; with ``create`` the id that a new run gets.
        state: The proposed state.
        create: The task run to create where it does not exist; None to propose for one that does.
        session_id: The session it came from; empty for none.
        queues: Whether it waits in the queue when no slot is free.
        keeps: How long its place is kept, in microseconds, while its client is away between two tries;
            0 for not at all.
        unwanted: Whether its client has withdrawn it before it was decided about; it then takes no slot.
    """

    id: str
    kind: RunKind
    run_id: str
    state: ProposedState
    create: TaskRunSpec | None = None
    session_id: str = ""
    queues: bool = False
    keeps: int = 0
    unwanted: bool = False


class Answer(NamedTuple):
    """What became of a proposal.

    Attributes:
        proposal_id: The proposal that is answered.
        kind: Whose run it was for.
        run: What was said of the run when it was created.
        decision: One of the four answers.
        state: The run's state as it now stands.
        queued: Whether the proposal waits in the queue, and another answer follows.
        position: Its place in the queue when it joined, from 1; 0 for none.
    """

    proposal_id: str
    kind: RunKind
    run: FlowRunSpec | TaskRunSpec
    decision: Decision
    state: State
    queued: bool = False
    position: int = 0


class Problem(IntEnum):
    """Why no decision could be made about a proposal."""

    RUN_NOT_FOUND = 1
    FLOW_RUN_NOT_FOUND = 2
    PROPOSAL_CONFLICT = 3
    RUN_CONFLICT = 4
    SESSION_EXPIRED = 5


class Refusal(NamedTuple):
    """A proposal that could not be decided about, and changed nothing.

    Attributes:
        proposal_id: The proposal.
        problem: What was wrong.
        subject: The id that was wrong.
        proposal: The proposal itself, where it may be made again under another session.
    """

    proposal_id: str
    problem: Problem
    subject: str
    proposal: Proposal | None = None


Outcome = Answer | Refusal


class Waiter(NamedTuple):
    """A proposal in the queue of a resource.

    Attributes:
        proposal: The proposal, which is decided again each time the resource is released.
        position: Orders all queues; smaller came earlier.
        blocker: The resource in whose queue it waits, and of which nothing is free for it.
        owner: The engine that knows whom to answer.
        passed: How often a slot that it could have used went to one who came later.
        until: Until when its place is kept while its client is away, in microseconds of the steady clock;
            None for one that is here. One that is away holds up no other, and is decided about when it comes
            again.
    """

    proposal: Proposal
    position: int
    blocker: Resource
    owner: str
    passed: int = 0
    until: int | None = None
