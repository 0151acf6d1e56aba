"""Turn: the order in which one transaction loads, decides, wakes and writes, over any store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from clearway_service.core.batch import Batch
from clearway_service.core.changes import Changes
from clearway_service.core.moment import Moment
from clearway_service.core.proposals import Answer, Outcome, Problem, Proposal, Refusal
from clearway_service.core.resources import Resource
from clearway_service.core.runs import RunKind
from clearway_service.core.snapshot import Snapshot

EndedRuns = dict[tuple[RunKind, str], str]
"""Runs that lose their session, each with the message of its Crashed state."""


@dataclass(slots=True)
class Work:
    """What a turn is about.

    Attributes:
        proposals: To be decided, in this order.
        recalled: Proposals that waited, of which is only looked up what became of them.
        ended_runs: The runs that lose their session.
        woken: Resources whose waiters are decided again.
        woken_runs: Task runs whose waiting proposals are decided again.
    """

    proposals: Sequence[Proposal] = ()
    recalled: Sequence[Proposal] = ()
    ended_runs: EndedRuns = field(default_factory=dict)
    woken: set[Resource] = field(default_factory=set)
    woken_runs: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.proposals or self.recalled or self.ended_runs or self.woken or self.woken_runs)


class TurnStore(Protocol):
    """A store in a transaction."""

    def load(self, work: Work) -> Snapshot:
        """Return what the store holds of all that a turn is about; it may shorten ``work``."""

    def write(self, changes: Changes) -> None:
        """Take what a turn changed."""


class TurnContext(NamedTuple):
    """Who decides a turn, and when.

    Attributes:
        owner: The engine that answers the proposals.
        moment: The time, on both of the service's clocks.
        new_id: Makes the ids of states that no proposal made.
    """

    owner: str
    moment: Moment
    new_id: Callable[[], str]


class Decided(NamedTuple):
    """What a turn decided.

    Attributes:
        outcomes: Of the proposals that were decided, in their order.
        recalled: What became of the recalled proposals, in their order.
        woken: Answers to those whose wait is over, those for other engines among them.
        changes: What that changes.
    """

    outcomes: list[Outcome]
    recalled: list[Outcome]
    woken: list[Answer]
    changes: Changes


Decide = Callable[[Batch], list[Outcome]]
"""Decides the proposals of a turn, or as many as it likes of the first ones."""


def decide_turn(
    snapshot: Snapshot, work: Work, context: TurnContext, decide: Decide | None = None
) -> Decided:
    """Return what a turn decides over a snapshot, which it takes over.

    Args:
        snapshot: What the store holds of ``work``.
        work: What the turn is about.
        context: Who decides, and when.
        decide: Decides the proposals; None for all of them.
    """
    batch = Batch(snapshot, context.moment, context.new_id, context.owner)
    for (_kind, run_id), message in work.ended_runs.items():
        batch.crash(run_id, message)
    outcomes = decide(batch) if decide else [batch.propose(proposal) for proposal in work.proposals]
    recalled = [batch.look_up(proposal) for proposal in work.recalled]
    woken = batch.wake(work.woken, work.woken_runs)
    return Decided(outcomes, recalled, woken, batch.changes)


def take_turn(
    store: TurnStore, work: Work, context: TurnContext, decide: Decide | None = None
) -> tuple[Snapshot, Decided]:
    """Load what a turn is about, decide it, and write what that changes.

    Args:
        store: The store, in a transaction.
        work: What the turn is about.
        context: Who decides, and when.
        decide: Decides the proposals; None for all of them.

    Returns:
        The snapshot as the turn has left it, and what was decided.
    """
    snapshot = store.load(work)
    decided = decide_turn(snapshot, work, context, decide)
    store.write(decided.changes)
    return snapshot, decided


def is_over(outcome: Outcome) -> bool:
    """Return whether a client waits no longer under its proposal's id, after this outcome of it."""
    if isinstance(outcome, Answer):
        return not outcome.queued
    # With a conflict, another client waits under this id.
    return not (isinstance(outcome, Refusal) and outcome.problem is Problem.PROPOSAL_CONFLICT)
