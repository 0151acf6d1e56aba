"""Proposals and their outcomes."""

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
        id: The proposal's UUID, which becomes the id of the state it produces.
        kind: Whether it is for a flow run or a task run.
        run_id: The run's UUID; with ``create``, the id that a new run gets.
        state: The proposed state.
        create: The task run to create if it does not exist; None for an existing run.
        session_id: The session it was sent under; empty for none.
        queues: Whether it waits in the queue if no slot is free.
        keeps: How long its place in the queue is kept between two tries of its client, in microseconds;
            0 for not at all.
        unwanted: Whether its client withdrew it before it was decided; it then takes no slot.
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
    """The decision on a proposal, with the run's resulting state.

    Attributes:
        proposal_id: The proposal's UUID.
        kind: Whether it was for a flow run or a task run.
        run: The run's spec, as given at its creation.
        decision: The decision.
        state: The run's current state.
        queued: Whether the proposal waits in the queue, and another answer follows.
        position: Its position in the queue when it joined, from 1; 0 if it did not.
    """

    proposal_id: str
    kind: RunKind
    run: FlowRunSpec | TaskRunSpec
    decision: Decision
    state: State
    queued: bool = False
    position: int = 0


class Problem(IntEnum):
    """Why a proposal could not be decided."""

    RUN_NOT_FOUND = 1
    FLOW_RUN_NOT_FOUND = 2
    PROPOSAL_CONFLICT = 3
    RUN_CONFLICT = 4
    SESSION_EXPIRED = 5


class Refusal(NamedTuple):
    """A proposal that could not be decided, and changed nothing.

    Attributes:
        proposal_id: The proposal's UUID.
        problem: What was wrong.
        subject: The offending id.
        proposal: The proposal itself, if it may be submitted again under another session.
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
        position: The order in all queues; a smaller position came earlier.
        blocker: The resource in whose queue it waits, of which none is free for it.
        owner: The engine that its client is connected to.
        passed: How often a slot that it could have used went to a later proposal.
        until: When its place is given up while its client is away, in microseconds of the steady clock;
            None while its client is connected. A waiter whose client is away blocks no other, and is decided
            when it is proposed again.
    """

    proposal: Proposal
    position: int
    blocker: Resource
    owner: str
    passed: int = 0
    until: int | None = None
