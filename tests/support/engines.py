"""Engines over any store: they take turns as the pipeline does, without threads and without clients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from clearway_service.core.changes import Changes
from clearway_service.core.moment import Moment
from clearway_service.core.proposals import Answer, Outcome, Proposal
from clearway_service.core.resources import Resource
from clearway_service.core.runs import FlowRunSpec, TaskRunSpec
from clearway_service.core.turn import (
    Decided,
    EndedRuns,
    TurnContext,
    TurnStore,
    Work,
    decide_turn,
    is_over,
    take_turn,
)


class SetLimit(NamedTuple):
    """Set a tag's limit."""

    tag: str
    slots: int


class DeleteLimit(NamedTuple):
    """Remove a tag's limit, if it has one."""

    tag: str


class ResetLimit(NamedTuple):
    """Take back all slots of a tag, if it has a limit."""

    tag: str


class CreateRun(NamedTuple):
    """Create a Pending run."""

    run: FlowRunSpec | TaskRunSpec


class OpenSession(NamedTuple):
    """Open a session with a lease, in microseconds. Its process is called as it is."""

    id: str
    lease: int


class RenewSessions(NamedTuple):
    """Give sessions that have not ended a new lease: their clients were heard of, or came back."""

    ids: tuple[str, ...]
    lease: int


class ExtendSessions(NamedTuple):
    """Give each session that has not ended at least a whole lease, as a server does when it starts."""

    lease: int


class BreakStream(NamedTuple):
    """Leave a session a shorter time, because its stream broke."""

    id: str
    grace: int


class ExpireSessions(NamedTuple):
    """End the sessions whose leases have run out, or whose processes have died; places too."""

    lease: int
    dead: tuple[str, ...] = ()


class EndSession(NamedTuple):
    """End a session: its runs crash, its waiters leave."""

    id: str


class Withdraw(NamedTuple):
    """Take proposals out of the queues."""

    proposal_ids: tuple[str, ...]


Command = (
    SetLimit
    | DeleteLimit
    | ResetLimit
    | CreateRun
    | OpenSession
    | RenewSessions
    | ExtendSessions
    | BreakStream
    | ExpireSessions
    | EndSession
    | Withdraw
)


@dataclass
class Ids:
    """Makes ids, which can be made once more."""

    made: int = 0

    def __call__(self) -> str:
        """Return the next id."""
        self.made += 1
        return f"made-{self.made}"


class Opened(TurnStore, Protocol):
    """A store in a transaction."""

    def do(self, command: Command) -> tuple[set[Resource], EndedRuns]:
        """Carry out a command. Return what to wake, and the runs that lose their session."""

    def collect(self, owner: str) -> list[str]:
        """Return, and forget, the proposals that others have decided for ``owner`` to answer."""


class Store(Protocol):
    """Where turns are written."""

    def transaction(self, moment: Moment, new_id: Ids) -> AbstractContextManager[Opened]:
        """Enter a transaction at a time."""


@dataclass
class Turn:
    """What one turn did.

    Attributes:
        owner: The engine whose turn it was.
        outcomes: Of each proposal, in order.
        replayed: Answers that another engine had made for this one to give.
        woken: Answers to those whose wait is over, those for other engines among them.
        changes: What was written.
        ended_runs: The runs that lost their session.
        woken_resources: Those whose waiters were to be decided again.
    """

    owner: str
    outcomes: list[Outcome]
    replayed: list[Outcome]
    woken: list[Answer]
    changes: Changes
    ended_runs: EndedRuns
    woken_resources: set[Resource]

    @property
    def answers(self) -> list[Answer]:
        """All answers in the order in which they were made."""
        made = [outcome for outcome in (*self.outcomes, *self.replayed) if isinstance(outcome, Answer)]
        return made + self.woken


@dataclass
class ModelEngine:
    """An engine: it remembers who waits for its answer, and whom it has yet to wake.

    Attributes:
        owner: Its id, which is that of its session too.
        waiting: The proposals whose clients wait here, by id.
        wake_again: Resources whose queues have more waiters that may be decided.
    """

    owner: str
    waiting: dict[str, Proposal] = field(default_factory=dict)
    wake_again: set[Resource] = field(default_factory=set)

    def turn(
        self,
        store: Store,
        moment: Moment,
        new_id: Ids,
        proposals: Sequence[Proposal] = (),
        commands: Iterable[Command] = (),
    ) -> Turn:
        """Do one turn: commands, proposals, those who wait; then answer.

        Everything is decided twice, from two snapshots, and has to come out the same.
        """
        with store.transaction(moment, new_id) as opened:
            work = Work(proposals, woken=set(self.wake_again))
            for command in commands:
                woken, crashed = opened.do(command)
                work.woken |= woken
                work.ended_runs |= crashed
            work.recalled = [self.waiting[id_] for id_ in opened.collect(self.owner) if id_ in self.waiting]
            context = TurnContext(self.owner, moment, new_id)
            made = new_id.made
            rehearsal = decide_turn(opened.load(work), work, context)
            new_id.made = made
            _snapshot, decided = take_turn(opened, work, context)
            assert decided == rehearsal, "deciding is deterministic"
        self._remember(work, decided)
        self.wake_again = decided.changes.wake_again
        return Turn(
            self.owner,
            decided.outcomes,
            decided.recalled,
            decided.woken,
            decided.changes,
            work.ended_runs,
            work.woken,
        )

    def _remember(self, work: Work, decided: Decided) -> None:
        asked = (*work.proposals, *work.recalled)
        for proposal, outcome in zip(asked, (*decided.outcomes, *decided.recalled), strict=True):
            if isinstance(outcome, Answer) and outcome.queued:
                self.waiting[proposal.id] = proposal
            elif is_over(outcome):
                self.waiting.pop(proposal.id, None)
        for answer in decided.woken:
            self.waiting.pop(answer.proposal_id, None)
