"""The pipeline: all that arrived while the last batch was committed forms the next one.

    proposals and commands → queue → [ load → decide → write → commit ] → answers

One thread owns the connection that writes. It takes whatever is pending, does it in one transaction, and only
then answers: a decision that a client was told is durable. There is no timer and no fixed batch size.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from clearway_service.core.batch import Batch
from clearway_service.core.changes import Changes
from clearway_service.core.proposals import Answer, Outcome, Problem, Proposal, Refusal
from clearway_service.core.snapshot import Snapshot
from clearway_service.core.states import ProposedState
from clearway_service.engine.budget import Call, Caller
from clearway_service.engine.clock import Clock, new_id
from clearway_service.engine.commands import Command, Commands, Ordered
from clearway_service.engine.deadlock_log import DeadlockLog
from clearway_service.engine.inbox import TURN_BYTES, Failure, Inbox, Reply, Result, Submitted, size_of
from clearway_service.errors import ClearwayError, ShuttingDownError, StoreUnavailableError, reason_of
from clearway_service.store import statements
from clearway_service.store.database import LOOK_SECONDS, Database
from clearway_service.store.known import Known
from clearway_service.store.loading import load
from clearway_service.store.loading_parts import TooLargeError
from clearway_service.store.sessions import remove_waiters
from clearway_service.store.transaction import Entangled, Transaction
from clearway_service.store.writing import write

logger = logging.getLogger(__name__)

# At most this many proposals share a transaction, so that its first one is not kept waiting.
MAX_BATCH = 1024
# Fewer while several clients propose, so that each has a part in a turn soon.
_MAX_BATCH_SHARED = 768
_SHARED_SECONDS = 1.0
# And fewer where somebody waits for a slot.
_MAX_BATCH_WAITING = 64
# At most this many may come in one message of a stream.
MAX_PROPOSALS = 4096
# While someone here waits for a slot, another process may free it: how often its commits are looked for.
_WATCH_SECONDS = 0.01
# At most this many waiters are looked up in one turn.
_MAX_RECALLED = 256
# How long a turn that nobody asked for, and that failed, waits before it is tried again.
_PAUSE_SECONDS = 0.05


_Arrival = tuple[Sequence[Proposal], Reply, Caller | None, int]


@dataclass(slots=True)
class _Withdrawal:
    """Proposals that their client withdrew, and the last arrival before that."""

    proposal_ids: frozenset[str]
    arrival: int = 0


@dataclass(slots=True)
class _Turn:
    """What one transaction did, to be told once it is committed.

    Attributes:
        decided: The proposals that it decided about.
        results: What became of them, in their order, and then of those that had waited.
        put_back: The proposals that it left for later turns.
        recalled: The ids of the waiters that were looked up.
        found: Those among them that no longer wait, and why.
        written: Whether all was written, so that only the commit was missing.
    """

    decided: list[Submitted] = field(default_factory=list)
    results: list[tuple[Reply, Result]] = field(default_factory=list)
    put_back: list[Submitted] = field(default_factory=list)
    woken: list[Answer] = field(default_factory=list)
    returned: list[tuple[Future[Any], Any, ClearwayError | None]] = field(default_factory=list)
    entangled: list[Entangled] = field(default_factory=list)
    wake_again: set[str] = field(default_factory=set)
    recalled: list[str] = field(default_factory=list)
    found: list[tuple[Submitted, Outcome]] = field(default_factory=list)
    written: bool = False


class Pipeline:
    """Decides proposals, and runs commands, in batches on its own thread.

    Args:
        database: The database, whose writer is the pipeline's from now on.
        clock: Tells the time of a batch.
        on_waiting: Called, on the pipeline's thread, when someone here begins to wait for a slot.
    """

    def __init__(self, database: Database, clock: Clock, on_waiting: Callable[[], None]) -> None:
        self.owner = new_id()
        self._database = database
        self._clock = clock
        self._on_waiting = on_waiting
        # Many threads of tasks submit at once. A lock that they share would be waited for by all of them as
        # soon as one of them loses the interpreter while it holds it; so each step of theirs is atomic.
        self._arrivals: deque[_Arrival | _Withdrawal | Caller] = deque()
        self._called = threading.Event()
        self._submitted = Inbox(self._resume)
        self._shared_until = 0.0
        self._ordered: deque[Ordered] = deque()
        self._commands = Commands()
        self._wake_again: set[str] = set()
        self._waiting: dict[str, Submitted] = {}
        # Of those, the ones that another process may have decided about, or a turn whose commit is in doubt.
        self._to_look_up: dict[str, None] = {}
        self._seen_version = -1
        self._known = Known()
        self._ancestor_log = DeadlockLog()
        self._closing = self._closed = False
        self._thread = threading.Thread(target=self._run, name="clearway-writer", daemon=True)
        self._thread.start()

    def submit(
        self, proposals: Sequence[Proposal], reply: Reply, caller: Caller | None = None, size: int = 0
    ) -> None:
        """Queue proposals. Safe from any thread; returns at once.

        Args:
            proposals: Decided in this order, after what the same client submitted before.
            reply: Called on the pipeline's thread with results, those of a batch together, after the commit.
                A proposal that waits for a slot is answered with a queued wait, and again when it goes on.
            caller: The client, which has a share of each turn, and whose proposals are decided when it has
                room for the decisions; None for one within this process, whose ``reply`` says who it is.
            size: What each proposal takes in memory, in bytes, which the caller holds until it is decided.
        """
        if caller is not None and size:
            caller.take_in(size * len(proposals))
        self._arrivals.append((proposals, reply, caller, size))
        self._call()

    def run(self, command: Command, call: Call | None = None) -> Future[Any]:
        """Queue a command to run in a batch's transaction; after the commit, the future has its result.

        Args:
            command: The command.
            call: The client's request that it is for; its turn comes with those of other clients. None for
                the engine itself, which waits for no client.
        """
        future: Future[Any] = Future()
        self._ordered.append(Ordered(command, future, call))
        self._call()
        return future

    def withdraw(self, proposal_ids: Sequence[str], call: Call | None = None) -> Future[Any]:
        """Take proposals out of the queue for slots; those that wait no longer are left alone.

        One that was submitted and is not decided yet will not join the queue.

        Returns:
            A future with the ids of those that were queued, so that no decision about them follows.
        """
        withdrawal = _Withdrawal(frozenset(proposal_ids))

        def command(transaction: Transaction) -> set[str]:
            # The command may have waited for its turn: what was proposed again since is left in the queue.
            ids = [id_ for id_ in proposal_ids if not self._came_after(id_, withdrawal)]
            remove_waiters(transaction, ids)
            return transaction.left_queue.intersection(ids)

        # Proposals that came before are yet to be decided, perhaps after the command.
        self._arrivals.append(withdrawal)
        return self.run(command, call)

    def _came_after(self, proposal_id: str, withdrawal: _Withdrawal) -> bool:
        entry = self._waiting.get(proposal_id)
        return entry is not None and entry.arrival > withdrawal.arrival

    def withdraw_all(self, reply: Reply, call: Call | None = None) -> Future[Any]:
        """Take those who would be answered by ``reply`` out of the queue for slots.

        Returns:
            As ``withdraw`` does.
        """

        def command(transaction: Transaction) -> set[str]:
            mine = [id_ for id_, entry in self._waiting.items() if entry.reply == reply]
            remove_waiters(transaction, mine)
            return transaction.left_queue.intersection(mine)

        return self.run(command, call)

    def move_waiting(self, before: str, after: str) -> None:
        """Let the proposals from here that waited under one session, which has ended, wait under another."""

        def command(_transaction: Transaction) -> None:
            moved = [entry for entry in self._waiting.values() if entry.proposal.session_id == before]
            for entry in moved:
                proposal = entry.proposal._replace(session_id=after)
                self._submitted.add([proposal], entry.reply, entry.caller)

        self.run(command)

    @property
    def waiting(self) -> int:
        """How many proposals from here wait for a slot."""
        return len(self._waiting)

    def close(self) -> None:
        """Do all that was queued, then stop. Who still waits for a slot is told so."""
        self._closing = True
        self._called.set()
        self._thread.join()

    def _resume(self, caller: Caller) -> None:
        """Take up what a client has submitted, which has room for decisions again. Safe from any thread."""
        self._arrivals.append(caller)
        self._call()

    def _call(self) -> None:
        """Wake the pipeline's thread for what was put before it. Safe from any thread."""
        # Append first, then look; it is the other way round there.
        if not self._called.is_set():
            self._called.set()
        if self._closed:
            self._refuse()

    def _run(self) -> None:
        while self._await_work():
            self._clock.notice()
            self._do(self._submitted.take(self._most()), self._commands.take())
        self._closed = True
        self._refuse()
        leftover = [*self._waiting.values(), *self._submitted.take_all()]
        self._waiting.clear()
        _settle(leftover)
        for entry in leftover:
            _reply(entry.reply, [Failure(entry.proposal.id, _closed())])

    def _most(self) -> int:
        """Return how many proposals the next turn takes."""
        if self._waiting:  # what frees a slot is not to wait for a long turn
            return _MAX_BATCH_WAITING
        if self._submitted.clients > 1:
            self._shared_until = time.monotonic() + _SHARED_SECONDS
            return _MAX_BATCH_SHARED
        return MAX_BATCH if time.monotonic() > self._shared_until else _MAX_BATCH_SHARED

    def _await_work(self) -> bool:
        """Return when there is something to do; False when all is done and the pipeline closes."""
        while True:
            self._called.clear()
            self._take_in()
            if self._submitted.ready or self._commands or self._wake_again or self._to_look_up:
                return True
            if self._closing:
                return False
            self._database.look()
            if not self._waiting:
                self._called.wait(LOOK_SECONDS)
            elif not self._called.wait(_WATCH_SECONDS) and self._others_wrote():
                return True

    def _take_in(self) -> None:
        """Take what has arrived into the queues, which are this thread's alone."""
        for _ in range(len(self._ordered)):
            self._commands.add(self._ordered.popleft())
        # After that, so that what was withdrawn is known when the command for it is done.
        for _ in range(len(self._arrivals)):
            arrived = self._arrivals.popleft()
            if isinstance(arrived, _Withdrawal):
                arrived.arrival = self._submitted.disown(arrived.proposal_ids)
            elif isinstance(arrived, Caller):
                self._submitted.resume(arrived)
            else:
                self._submitted.add(*arrived)

    def _refuse(self) -> None:
        """Answer what came too late, whichever thread finds it."""
        with contextlib.suppress(IndexError):
            while True:
                arrived = self._arrivals.popleft()
                if isinstance(arrived, tuple):
                    proposals, reply, caller, size = arrived
                    if caller is not None:
                        caller.settle(size * len(proposals))
                    _reply(reply, [Failure(proposal.id, _closed()) for proposal in proposals])
        with contextlib.suppress(IndexError):
            while True:
                _resolve(self._ordered.popleft().future, None, _closed())

    def _others_wrote(self) -> bool:
        """Return whether another process committed since the last look, and so may have answered for us."""
        version = self._database.data_version()
        changed = version != self._seen_version
        self._seen_version = version
        return changed

    def _do(self, submitted: list[Submitted], ordered: list[Ordered]) -> None:
        """Do one batch; where it fails, do its parts one by one, so that only the culprit fails."""
        turn = self._try(submitted, ordered)
        if turn is not None:
            self._submitted.put_back(turn.put_back)
            return
        put_back: list[Submitted] = []
        for entry in ordered:
            # A command may free slots, whose new holders may have no room for the decision yet.
            if (alone := self._try([], [entry])) is not None:
                put_back += alone.put_back
        for one in submitted:
            # Behind one that is put back, its client's others are not decided either.
            if any(each.caller is one.caller for each in put_back):
                put_back.append(one)
            elif (alone := self._try([one], [])) is not None:
                put_back += alone.put_back
        self._submitted.put_back(put_back)

    def _try(self, submitted: list[Submitted], ordered: list[Ordered]) -> _Turn | None:
        """Do one batch and tell what it did; return None where it failed and has parts to be tried alone."""
        turn = _Turn()
        try:
            self._transact(turn, submitted, ordered)
        except Exception as error:  # noqa: BLE001 - whatever it is, its callers are told and the thread lives
            self._known.forget()
            if turn.written:
                # It may be durable all the same. Callers try again and get what is recorded; waiters do not.
                self._to_look_up.update(dict.fromkeys(self._waiting))
                self._wake_again |= turn.wake_again
            elif len(submitted) + len(ordered) > 1 and not isinstance(error, StoreUnavailableError):
                return None
            self._fail(submitted, ordered, error)
            return _Turn()
        _settle(turn.decided)
        self._tell(turn)
        self._database.committed()
        return turn

    def _transact(self, turn: _Turn, submitted: list[Submitted], ordered: list[Ordered]) -> None:
        """Do one batch; ``turn`` has what it did, as far as it came."""
        decided: tuple[Snapshot, Changes] | None = None
        with self._database.turn():
            moment = self._clock.read()
            transaction = Transaction(self._database, moment, new_id)
            self._known.begin(self._database.data_version())
            if ordered:  # commands may change any row
                self._known.forget()
            for entry in ordered:
                turn.returned.append(self._command(transaction, entry))
            if self._waiting:
                self._collect(transaction)
            recalled = self._recall()
            woken_tags = transaction.woken_tags | self._wake_again
            woken_runs = transaction.woken_runs
            if submitted or recalled or woken_tags or woken_runs or transaction.ended_runs:
                snapshot, submitted = self._load(transaction, submitted, recalled, turn, woken_tags)
                batch = Batch(snapshot, moment, new_id, self.owner)
                for (_kind, run_id), message in transaction.ended_runs.items():
                    batch.crash(run_id, message)
                self._decide(batch, submitted, turn)
                _look_up(batch, recalled, turn)
                turn.woken = batch.wake(woken_tags, woken_runs)
                turn.wake_again = batch.changes.wake_again
                write(transaction.driver, batch.changes, moment.now)
                decided = snapshot, batch.changes
            turn.written = True
        if decided is not None:
            self._known.committed(*decided)
        turn.entangled = transaction.entangled
        for proposal_id in transaction.left_queue:
            self._waiting.pop(proposal_id, None)
        self._keep_waiting(turn)

    def _load(
        self,
        transaction: Transaction,
        submitted: list[Submitted],
        recalled: list[Submitted],
        turn: _Turn,
        woken_tags: set[str],
    ) -> tuple[Snapshot, list[Submitted]]:
        """Return what the turn is about, and those that it is for: fewer, where that is too large for one.

        ``recalled`` is shortened then.
        """
        # What one proposal is about is loaded in any case.
        most = TURN_BYTES if len(submitted) + len(recalled) > 1 else None
        while True:
            try:
                snapshot = load(
                    transaction.driver,
                    [entry.proposal for entry in (*submitted, *recalled)],
                    transaction.moment,
                    self._known,
                    ended_runs=list(transaction.ended_runs),
                    woken_tags=woken_tags,
                    woken_runs=transaction.woken_runs,
                    most=most,
                )
            except TooLargeError:
                if len(recalled) > (not submitted):
                    del recalled[len(recalled) // 2 :]
                    continue
                submitted, rest = _halved(submitted)
                turn.put_back = rest + turn.put_back
                if not rest:  # one of each client is decided in any case
                    most = None
            else:
                return snapshot, submitted

    def _decide(self, batch: Batch, submitted: list[Submitted], turn: _Turn) -> None:
        """Decide the proposals in their order, of each client as many as it has room for decisions."""
        rooms: dict[Caller, _Room] = {}
        put_back = []
        rest = TURN_BYTES
        decided, results = turn.decided.append, turn.results.append
        last: Caller | None = None
        room = _Room(0)
        for entry in submitted:
            caller = entry.caller
            result: Result
            propose = batch.look_up if entry.looked_up else batch.propose
            if caller is None:
                result = propose(entry.proposal)
            else:
                if caller is not last:
                    last = caller
                    room = rooms.get(caller) or rooms.setdefault(caller, _Room(caller.room()))
                if room.decisions and (room.bytes <= 0 or rest <= 0 or room.full):
                    room.full = True  # also for a smaller one behind it: a client's order is kept
                    put_back.append(entry)
                    continue
                result = propose(entry.proposal)
                size = size_of(result)
                room.decisions += 1
                room.bytes -= size
                rest -= size
            decided(entry)
            results((entry.reply, result))
        turn.put_back = put_back + turn.put_back
        for caller, room in rooms.items():
            made = (room.before - room.bytes) // room.decisions
            caller.expected = max(made, caller.expected // 2)

    def _command(
        self, transaction: Transaction, entry: Ordered
    ) -> tuple[Future[Any], Any, ClearwayError | None]:
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

    def _collect(self, transaction: Transaction) -> None:
        """Note which of our waiters another process has decided about, to be looked up."""
        mine = (self.owner,)
        delivered = transaction.driver.execute(statements.DELIVERIES, mine).fetchall()
        if delivered:
            transaction.driver.execute(statements.DELETE_DELIVERIES, mine)
            self._to_look_up.update({id_: None for (id_,) in delivered})

    def _recall(self) -> list[Submitted]:
        """Return the next waiters to be looked up."""
        self._to_look_up = {id_: None for id_ in self._to_look_up if id_ in self._waiting}
        return [self._waiting[id_] for id_ in islice(self._to_look_up, _MAX_RECALLED)]

    def _keep_waiting(self, turn: _Turn) -> None:
        """Remember, after the commit, whom to answer later, and forget who has the last word."""
        self._wake_again = turn.wake_again
        nobody = not self._waiting
        for entry, (_, result) in zip(turn.decided, turn.results, strict=True):
            if isinstance(result, Answer) and result.queued:
                self._waiting[entry.proposal.id] = _waits(entry, result)
            elif not (isinstance(result, Refusal) and result.problem is Problem.PROPOSAL_CONFLICT):
                # With a conflict, someone else waits under this id.
                self._waiting.pop(entry.proposal.id, None)
        for id_ in turn.recalled:
            self._to_look_up.pop(id_, None)
        for entry, outcome in turn.found:
            if self._waiting.pop(entry.proposal.id, None) is not None:
                self._grant(entry, outcome, turn)
        for answer in turn.woken:
            entry_ = self._waiting.pop(answer.proposal_id, None)
            if entry_ is not None:
                self._grant(entry_, answer, turn)

        if nobody and self._waiting:
            self._on_waiting()

    def _grant(self, entry: Submitted, answer: Outcome, turn: _Turn) -> None:
        """Tell the end of a wait; a client without room for that is told later, from the record."""
        if entry.caller is not None and entry.caller.room() <= 0:
            turn.put_back.insert(0, entry)
        else:
            turn.results.append((entry.reply, answer))

    def _tell(self, turn: _Turn) -> None:
        self._ancestor_log.tell(turn.entangled, (result for _reply, result in turn.results))
        replies: dict[Reply, list[Result]] = {}
        for reply, result in turn.results:
            replies.setdefault(reply, []).append(result)
        for reply, results in replies.items():
            _reply(reply, results)
        for future, value, error in turn.returned:
            _resolve(future, value, error)

    def _fail(self, submitted: list[Submitted], ordered: list[Ordered], error: Exception) -> None:
        if not isinstance(error, ClearwayError):
            logger.error("a transaction failed and was rolled back", exc_info=error)
            if isinstance(getattr(error, "orig", None) or error, sqlite3.Error):
                reason = reason_of(error)
                error = StoreUnavailableError(f"the database did not take the transaction: {reason}")
            else:
                error = StoreUnavailableError(f"the service failed ({reason_of(error)}); its log says where")
        _settle(submitted)
        for one in submitted:
            _reply(one.reply, [Failure(one.proposal.id, error)])
        for entry in ordered:
            _resolve(entry.future, None, error)
        if not submitted and not ordered:
            if self._closing:
                self._wake_again = set()
                self._to_look_up = {}
            # Whom to wake is not forgotten, and tried again; not at once, since nothing may have changed.
            time.sleep(_PAUSE_SECONDS)


@dataclass(slots=True)
class _Room:
    """What a client's decisions may still take in a turn, in bytes."""

    bytes: int
    before: int = field(init=False)
    decisions: int = 0
    full: bool = False

    def __post_init__(self) -> None:
        self.before = self.bytes


def _halved(submitted: list[Submitted]) -> tuple[list[Submitted], list[Submitted]]:
    """Return the first half of each client's proposals, of one that one, and the rest; both in order."""
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


def _look_up(batch: Batch, recalled: list[Submitted], turn: _Turn) -> None:
    """Find out which waiters wait no longer, and what was recorded about them."""
    for entry in recalled:
        turn.recalled.append(entry.proposal.id)
        outcome = batch.look_up(entry.proposal)
        if not (isinstance(outcome, Answer) and outcome.queued):
            turn.found.append((entry, outcome))


def _waits(entry: Submitted, answer: Answer) -> Submitted:
    """Return a proposal as it is kept while it waits: without what its client chose the size of.

    That is in the database, and its end is looked up there. For clients in this process all is kept: theirs
    may wait again under another session.
    """
    if entry.caller is None:
        return entry
    state = ProposedState(entry.proposal.state.type)
    kept = entry.proposal._replace(run_id=answer.run.id, state=state, create=None)
    return entry._replace(proposal=kept, size=0, looked_up=True)


def _settle(entries: Iterable[Submitted]) -> None:
    """Count proposals that are decided as their clients' no longer."""
    sizes: dict[Caller, int] = {}
    for entry in entries:
        if entry.size and entry.caller is not None:
            sizes[entry.caller] = sizes.get(entry.caller, 0) + entry.size
    for caller, size in sizes.items():
        caller.settle(size)


def _reply(reply: Reply, results: list[Result]) -> None:
    """Tell results; whoever cannot take them does not stop the others."""
    try:
        reply(results)
    except Exception:
        logger.exception("a client could not be told %d results", len(results))


def _resolve(future: Future[Any], value: Any, error: ClearwayError | None) -> None:
    """Give a command's future what the command returned, unless its caller has gone."""
    if not future.set_running_or_notify_cancel():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)


def _closed() -> ShuttingDownError:
    return ShuttingDownError("the service is going down; try again when it is back")
