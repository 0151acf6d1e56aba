"""Turn: one transaction of the pipeline, with its commands and proposals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from clearway_service.core.batch import Batch
from clearway_service.core.changes import Changes
from clearway_service.core.proposals import Answer, Outcome
from clearway_service.core.resources import Resource
from clearway_service.core.snapshot import Snapshot
from clearway_service.core.turn import TurnContext, Work, take_turn
from clearway_service.engine.budget import Caller
from clearway_service.engine.clock import Clock, new_id
from clearway_service.engine.commands import Ordered
from clearway_service.engine.inbox import TURN_BYTES
from clearway_service.engine.submitted import Reply, Submitted, size_of
from clearway_service.engine.waiters import Waiters
from clearway_service.errors import ClearwayError
from clearway_service.store.database import Database
from clearway_service.store.loading import load
from clearway_service.store.loading_parts import TooLargeError
from clearway_service.store.row_cache import RowCache
from clearway_service.store.transaction import Entangled, Transaction
from clearway_service.store.writing import write


@dataclass(slots=True)
class Turn:
    """What one transaction did, to be told once it is committed.

    Attributes:
        decided: The proposals that it decided.
        outcomes: What became of them, in their order.
        granted: What became of those that had waited, with how to reach their clients.
        put_back: The proposals that it left for later turns.
        returned: What its commands returned, or the errors that they ended with.
        entangled: Runs that wait for slots that their own ancestors hold.
        wake_again: Resources whose queues have more waiters that may be decided.
        written: Whether all was written, so that only the commit was missing.
    """

    decided: list[Submitted] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    granted: list[tuple[Reply, Outcome]] = field(default_factory=list)
    put_back: list[Submitted] = field(default_factory=list)
    returned: list[tuple[Future[Any], Any, ClearwayError | None]] = field(default_factory=list)
    entangled: list[Entangled] = field(default_factory=list)
    wake_again: set[Resource] = field(default_factory=set)
    written: bool = False

    def results(self) -> Iterator[tuple[Reply, Outcome]]:
        """Yield the outcomes with their replies, in the order in which they were decided."""
        for entry, outcome in zip(self.decided, self.outcomes, strict=True):
            yield entry.reply, outcome
        yield from self.granted


class Writer:
    """Runs the turns of an engine, each in one transaction. Belongs to the pipeline's thread.

    Args:
        database: The database, whose writer belongs to the same thread.
        clock: Gives the time of each turn.
        owner: The engine.
        waiters: The waiting proposals of this engine's clients.
    """

    def __init__(self, database: Database, clock: Clock, owner: str, waiters: Waiters) -> None:
        self._database = database
        self._clock = clock
        self._owner = owner
        self._waiters = waiters
        self._row_cache = RowCache()

    def forget(self) -> None:
        """Drop cached data, after a turn has failed."""
        self._row_cache.forget()

    def take_turn(self, turn: Turn, submitted: list[Submitted], ordered: list[Ordered]) -> None:
        """Run commands and decide proposals in one transaction.

        Args:
            turn: Filled with the results; partly, if the turn fails.
            submitted: The proposals.
            ordered: The commands, which run first.
        """
        done: tuple[Snapshot, Changes] | None = None
        waiters, row_cache = self._waiters, self._row_cache
        recalled: list[Submitted] = []
        woken: list[Answer] = []
        found: list[Outcome] = []
        with self._database.turn():
            moment = self._clock.read()
            transaction = Transaction(self._database, moment, new_id)
            row_cache.begin(self._database.data_version())
            if ordered:  # commands may change any row
                row_cache.forget()
                for entry in ordered:
                    turn.returned.append(_command(transaction, entry))
            if waiters:
                waiters.collect(transaction.driver)
                recalled = waiters.recall()
            work = Work(
                [entry.proposal for entry in submitted],
                [entry.proposal for entry in recalled],
                transaction.ended_runs,
                transaction.woken | waiters.wake_again,
                transaction.woken_runs,
            )
            if work:
                store = _OpenDatabase(transaction, row_cache, submitted)
                context = TurnContext(self._owner, moment, new_id)
                snapshot, decided = take_turn(store, work, context, lambda batch: store.decide(batch, turn))
                turn.put_back += store.put_back
                turn.wake_again = decided.changes.wake_again
                recalled, found, woken = recalled[: len(decided.recalled)], decided.recalled, decided.woken
                done = snapshot, decided.changes
            turn.written = True
        if done is not None:
            row_cache.committed(*done)
        turn.entangled = transaction.entangled
        for proposal_id in transaction.left_queue:
            waiters.take(proposal_id)
        self._keep_waiting(turn, recalled, found, woken)

    def _keep_waiting(
        self, turn: Turn, recalled: list[Submitted], found: list[Outcome], woken: list[Answer]
    ) -> None:
        """After the commit, remember new waiters, and forget those whose wait is over."""
        waiters = self._waiters
        waiters.wake_again = turn.wake_again
        for entry, outcome in zip(turn.decided, turn.outcomes, strict=True):
            waiters.note(entry, outcome)
        if not (recalled or woken):
            return
        waiters.looked_up(recalled)
        ended = [
            (entry.proposal.id, outcome)
            for entry, outcome in zip(recalled, found, strict=True)
            if not (isinstance(outcome, Answer) and outcome.queued)
        ]
        for proposal_id, outcome in (*ended, *((answer.proposal_id, answer) for answer in woken)):
            if (waited := waiters.take(proposal_id)) is not None:
                _grant(turn, waited, outcome)


class _OpenDatabase:
    """The store of a turn's transaction. It puts back proposals that are too much for one turn.

    Attributes:
        put_back: The proposals that are left for later turns.
    """

    def __init__(self, transaction: Transaction, row_cache: RowCache, submitted: list[Submitted]) -> None:
        self._transaction = transaction
        self._row_cache = row_cache
        self._submitted = submitted
        self.put_back: list[Submitted] = []

    def load(self, work: Work) -> Snapshot:
        """Load the data that a turn needs; if that is too large, for fewer proposals."""
        transaction = self._transaction
        # A single proposal's data is always loaded, whatever its size.
        most = TURN_BYTES if len(work.proposals) + len(work.recalled) > 1 else None
        while True:
            try:
                return load(transaction.driver, work, transaction.moment, self._row_cache, most)
            except TooLargeError:
                if len(work.recalled) > (not work.proposals):
                    work.recalled = work.recalled[: len(work.recalled) // 2]
                    continue
                self._submitted, rest = _halved(self._submitted)
                work.proposals = [entry.proposal for entry in self._submitted]
                self.put_back = rest + self.put_back
                if not rest:  # at least one proposal of each client is decided
                    most = None

    def write(self, changes: Changes) -> None:
        """Write a turn's changes."""
        write(self._transaction.driver, changes, self._transaction.now)

    def decide(self, batch: Batch, turn: Turn) -> list[Outcome]:
        """Decide the proposals in order, for each client as many as it has room for decisions."""
        rooms: dict[Caller, _Room] = {}
        put_back = []
        rest = TURN_BYTES
        decided, outcomes = turn.decided.append, turn.outcomes.append
        last: Caller | None = None
        room: _Room | None = None
        for entry in self._submitted:
            caller = entry.caller
            propose = batch.look_up if entry.looked_up else batch.propose
            if caller is None:
                outcome = propose(entry.proposal)
            else:
                if room is None or caller is not last:
                    last = caller
                    room = rooms.get(caller) or rooms.setdefault(caller, _Room(caller.room()))
                if room.decisions and (room.bytes <= 0 or rest <= 0 or room.full):
                    room.full = True  # even for a smaller one after it: a client's order is kept
                    put_back.append(entry)
                    continue
                outcome = propose(entry.proposal)
                size = size_of(outcome)
                room.decisions += 1
                room.bytes -= size
                rest -= size
            decided(entry)
            outcomes(outcome)
        if put_back:
            self.put_back = put_back + self.put_back
        for caller, had in rooms.items():
            made = (had.before - had.bytes) // had.decisions
            caller.expected = max(made, caller.expected // 2)
        return turn.outcomes


class _Room:
    """The room that a client has left for decisions in a turn, in bytes."""

    __slots__ = ("before", "bytes", "decisions", "full")

    def __init__(self, room: int) -> None:
        self.bytes = self.before = room
        self.decisions = 0
        self.full = False


def _command(transaction: Transaction, entry: Ordered) -> tuple[Future[Any], Any, ClearwayError | None]:
    """Run a command; if it raises a ClearwayError, its writes are rolled back."""
    driver = transaction.driver
    driver.execute("SAVEPOINT command")
    try:
        returned = entry.command(transaction)
    except ClearwayError as error:
        driver.execute("ROLLBACK TO command")
        driver.execute("RELEASE command")
        return entry.future, None, error
    driver.execute("RELEASE command")
    return entry.future, returned, None


def _grant(turn: Turn, entry: Submitted, outcome: Outcome) -> None:
    """Record the end of a wait; a client without room gets it later, from the stored decision."""
    if entry.caller is not None and entry.caller.room() <= 0:
        turn.put_back.insert(0, entry)
    else:
        turn.granted.append((entry.reply, outcome))


def _halved(submitted: list[Submitted]) -> tuple[list[Submitted], list[Submitted]]:
    """Split proposals, in order, into the first half of each client's (at least one) and the rest."""
    counts = Counter(entry.caller or entry.reply for entry in submitted)
    kept: Counter[Caller | Reply] = Counter()
    first, rest = [], []
    for entry in submitted:
        key = entry.caller or entry.reply
        if 2 * kept[key] < counts[key]:
            kept[key] += 1
            first.append(entry)
        else:
            rest.append(entry)
    return first, rest
