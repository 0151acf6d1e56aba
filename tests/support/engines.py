"""Engines over any store: what the pipeline does in one turn, without threads and with nobody to tell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from clearway_service.core.batch import Batch
from clearway_service.core.changes import Changes
from clearway_service.core.moment import Moment
from clearway_service.core.proposals import Answer, Outcome, Problem, Proposal
from clearway_service.core.runs import FlowRunSpec, TaskRunSpec
from clearway_service.core.snapshot import Snapshot
from support.model_loading import EndedRuns


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


class Opened(Protocol):
    """A store in a transaction."""

    def do(self, command: Command) -> tuple[set[str], EndedRuns]:
        """Carry out a command. Return the tags to wake, and the runs that lose their session."""

    def collect(self, owner: str) -> list[str]:
        """Return, and forget, the proposals that others have decided for ``owner`` to answer."""

    def load(self, proposals: Sequence[Proposal], ended_runs: EndedRuns, woken_tags: set[str]) -> Snapshot:
        """Return the snapshot for a batch."""

    def write(self, changes: Changes) -> None:
        """Take what a batch changed."""


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
        woken_tags: The tags whose waiters were to be decided about again.
    """

    owner: str
    outcomes: list[Outcome]
    replayed: list[Outcome]
    woken: list[Answer]
    changes: Changes
    ended_runs: EndedRuns
    woken_tags: set[str]

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
        wake_again: Tags whose queues have more waiters that may be answered.
    """

    owner: str
    waiting: dict[str, Proposal] = field(default_factory=dict)
    wake_again: set[str] = field(default_factory=set)

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
            woken_tags, ended = set(self.wake_again), EndedRuns()
            for command in commands:
                woken, crashed = opened.do(command)
                woken_tags |= woken
                ended |= crashed
            collected = [id_ for id_ in opened.collect(self.owner) if id_ in self.waiting]
            asked = [*proposals, *(self.waiting[id_] for id_ in collected)]
            made = new_id.made
            rehearsal = self._decide(
                opened.load(asked, ended, woken_tags), moment, new_id, asked, ended, woken_tags
            )
            new_id.made = made
            decided = self._decide(
                opened.load(asked, ended, woken_tags), moment, new_id, asked, ended, woken_tags
            )
            assert decided == rehearsal, "deciding is deterministic"
            outcomes, answers, changes = decided
            opened.write(changes)
        self._remember(asked, outcomes, answers)
        self.wake_again = changes.wake_again
        count = len(proposals)
        return Turn(self.owner, outcomes[:count], outcomes[count:], answers, changes, ended, woken_tags)

    def _decide(
        self,
        snapshot: Snapshot,
        moment: Moment,
        new_id: Ids,
        proposals: Sequence[Proposal],
        ended: EndedRuns,
        woken_tags: set[str],
    ) -> tuple[list[Outcome], list[Answer], Changes]:
        batch = Batch(snapshot, moment, new_id, self.owner)
        for (_kind, run_id), message in ended.items():
            batch.crash(run_id, message)
        outcomes = [batch.propose(proposal) for proposal in proposals]
        return outcomes, batch.wake(woken_tags), batch.changes

    def _remember(self, asked: list[Proposal], outcomes: list[Outcome], woken: list[Answer]) -> None:
        for proposal, outcome in zip(asked, outcomes, strict=True):
            if isinstance(outcome, Answer) and outcome.queued:
                self.waiting[proposal.id] = proposal
            elif isinstance(outcome, Answer) or outcome.problem is not Problem.PROPOSAL_CONFLICT:
                self.waiting.pop(proposal.id, None)
        for answer in woken:
            self.waiting.pop(answer.proposal_id, None)
