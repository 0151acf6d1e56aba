"""Engines on any store, which take turns like the pipeline, without threads and clients."""

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
    """Forcibly free all slots of a tag, if it has a limit."""

    tag: str


class CreateRun(NamedTuple):
    """Create a Pending run."""

    run: FlowRunSpec | TaskRunSpec


class OpenSession(NamedTuple):
    """Open a session with a lease in microseconds. Its process has the same name."""

    id: str
    lease: int


class RenewSessions(NamedTuple):
    """Renew the leases of open sessions, whose clients were seen or reconnected."""

    ids: tuple[str, ...]
    lease: int


class ExtendSessions(NamedTuple):
    """Extend each open session to at least a whole lease, as a server does at its start."""

    lease: int


class BreakStream(NamedTuple):
    """Shorten a session's lease because its stream broke."""

    id: str
    grace: int


class ExpireSessions(NamedTuple):
    """End sessions with expired leases or dead processes, and give up expired places in queues."""

    lease: int
    dead: tuple[str, ...] = ()


class EndSession(NamedTuple):
    """End a session: its runs crash and its waiters leave."""

    id: str


class Withdraw(NamedTuple):
    """Withdraw proposals from the queues."""

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
    """Generates ids in a reproducible sequence."""

    made: int = 0

    def __call__(self) -> str:
        """Return the next id."""
        self.made += 1
        return f"made-{self.made}"


class Opened(TurnStore, Protocol):
    """A store in a transaction."""

    def do(self, command: Command) -> tuple[set[Resource], EndedRuns]:
        """Run a command. Return the resources to wake, and the runs whose session ended."""

    def collect(self, owner: str) -> list[str]:
        """Remove and return the proposals of ``owner`` that other engines have decided."""


class Store(Protocol):
    """A store for turns."""

    def transaction(self, moment: Moment, new_id: Ids) -> AbstractContextManager[Opened]:
        """Enter a transaction at the given time."""


@dataclass
class Turn:
    """The results of one turn.

    Attributes:
        owner: The engine that took the turn.
        outcomes: The outcome of each proposal, in order.
        replayed: Answers for this engine's clients that another engine has decided.
        woken: Final answers to waiters, including those of other engines.
        changes: The written changes.
        ended_runs: The runs whose session ended.
        woken_resources: The resources whose waiters were decided again.
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
        """All answers, in the order in which they were decided."""
        made = [outcome for outcome in (*self.outcomes, *self.replayed) if isinstance(outcome, Answer)]
        return made + self.woken


@dataclass
class ModelEngine:
    """An engine, which remembers its waiting proposals and the resources it has yet to wake.

    Attributes:
        owner: Its id, which is also that of its session.
        waiting: The waiting proposals of its clients, by id.
        wake_again: Resources whose queues have more waiters to decide.
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
        """Take one turn: run commands, decide proposals, then waiters.

        Everything is decided twice, from two snapshots, with the same result.
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
