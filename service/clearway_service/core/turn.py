"""Turn: loads, decides, wakes and writes in one transaction, for any store."""

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
    """The work of one turn.

    Attributes:
        proposals: Proposals to decide, in this order.
        recalled: Queued proposals whose current outcome is only looked up.
        ended_runs: Runs whose session has ended.
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
        """Load the data that a turn needs; may remove proposals from ``work`` if it is too large."""

    def write(self, changes: Changes) -> None:
        """Write a turn's changes."""


class TurnContext(NamedTuple):
    """The engine and the time of a turn.

    Attributes:
        owner: The engine that replies to the proposals.
        moment: The current time, on both of the service's clocks.
        new_id: Generates ids for states that no proposal produced.
    """

    owner: str
    moment: Moment
    new_id: Callable[[], str]


class Decided(NamedTuple):
    """The results of a turn.

    Attributes:
        outcomes: The outcomes of the decided proposals, in their order.
        recalled: The outcomes of the recalled proposals, in their order.
        woken: Final answers to waiters, including those of other engines.
        changes: The changes to write.
    """

    outcomes: list[Outcome]
    recalled: list[Outcome]
    woken: list[Answer]
    changes: Changes


Decide = Callable[[Batch], list[Outcome]]
"""Decides the proposals of a turn, or only the first ones."""


def decide_turn(
    snapshot: Snapshot, work: Work, context: TurnContext, decide: Decide | None = None
) -> Decided:
    """Decide a turn on a snapshot, which is modified.

    Args:
        snapshot: The stored data that ``work`` needs.
        work: The work of the turn.
        context: The engine and the time.
        decide: Decides the proposals, or only the first ones; None to decide all.
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
    """Load the data that a turn needs, decide it, and write the changes.

    Args:
        store: The store, in a transaction.
        work: The work of the turn.
        context: The engine and the time.
        decide: Decides the proposals, or only the first ones; None to decide all.

    Returns:
        The snapshot as the turn left it, and the turn's results.
    """
    snapshot = store.load(work)
    decided = decide_turn(snapshot, work, context, decide)
    store.write(decided.changes)
    return snapshot, decided


def is_over(outcome: Outcome) -> bool:
    """Return True if no client waits for the proposal's id after this outcome."""
    if isinstance(outcome, Answer):
        return not outcome.queued
    # After a conflict, another client may still wait under this id.
    return not (isinstance(outcome, Refusal) and outcome.problem is Problem.PROPOSAL_CONFLICT)
