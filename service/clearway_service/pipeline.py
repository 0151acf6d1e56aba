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
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from clearway_service.ancestor_log import AncestorLog
from clearway_service.clock import Clock, new_id
from clearway_service.core.batch import Batch
from clearway_service.core.changes import Changes
from clearway_service.core.proposals import Answer, Problem, Proposal, Refusal
from clearway_service.core.snapshot import Snapshot
from clearway_service.errors import ClearwayError, ShuttingDownError, StoreUnavailableError, reason_of
from clearway_service.inbox import Failure, Inbox, Reply, Result, Submitted
from clearway_service.store import statements
from clearway_service.store.database import Database
from clearway_service.store.known import Known
from clearway_service.store.loading import load
from clearway_service.store.sessions import remove_waiters
from clearway_service.store.transaction import Entangled, Transaction
from clearway_service.store.writing import write

logger = logging.getLogger(__name__)

# At most this many proposals share a transaction, so that its first one is not kept waiting.
MAX_BATCH = 1024
_MAX_BATCH_WAITING = 64
# At most this many may come in one message of a stream.
MAX_PROPOSALS = 4096
# While someone here waits for a slot, another process may free it: how often its commits are looked for.
_WATCH_SECONDS = 0.01
# How long a turn that nobody asked for, and that failed, waits before it is tried again.
_PAUSE_SECONDS = 0.05


Command = Callable[[Transaction], Any]


class _Ordered(NamedTuple):
    command: Command
    future: Future[Any]


@dataclass(slots=True)
class _Turn:
    """What one transaction did, to be told once it is committed."""

    results: list[tuple[Reply, Result]] = field(default_factory=list)
    woken: list[Answer] = field(default_factory=list)
    returned: list[tuple[Future[Any], Any, ClearwayError | None]] = field(default_factory=list)
    entangled: list[Entangled] = field(default_factory=list)
    wake_again: set[str] = field(default_factory=set)


class Pipeline:
    """Decides proposals, and runs commands, in batches on its own thread.

    Args:
        database: The database, whose writer is the pipeline's from now on.
        clock: Tells the time of a batch, in microseconds since 1970.
        on_waiting: Called, on the pipeline's thread, when someone here begins to wait for a slot.
    """

    def __init__(self, database: Database, clock: Clock, on_waiting: Callable[[], None]) -> None:
        self.owner = new_id()
        self._database = database
        self._clock = clock
        self._on_waiting = on_waiting
        # Many threads of tasks submit at once. A lock that they share would be waited for by all of them as
        # soon as one of them loses the interpreter while it holds it; so each step of theirs is atomic.
        self._arrivals: deque[tuple[Sequence[Proposal], Reply] | set[str]] = deque()
        self._called = threading.Event()
        self._submitted = Inbox()
        self._ordered: deque[_Ordered] = deque()
        self._wake_again: set[str] = set()
        self._waiting: dict[str, Submitted] = {}
        self._seen_version = -1
        self._known = Known()
        self._ancestor_log = AncestorLog()
        self._closing = self._closed = False
        self._thread = threading.Thread(target=self._run, name="clearway-writer", daemon=True)
        self._thread.start()

    def submit(self, proposals: Sequence[Proposal], reply: Reply) -> None:
        """Queue proposals. Safe from any thread; returns at once.

        Args:
            proposals: Decided in this order, after what the same client submitted before.
            reply: Called on the pipeline's thread with results, those of a batch together, after the commit.
                A proposal that waits for a slot is answered with a queued wait, and again when it goes on.
        """
        self._arrivals.append((proposals, reply))
        self._call()

    def run(self, command: Command) -> Future[Any]:
        """Queue a command to run in a batch's transaction; after the commit, the future has its result."""
        future: Future[Any] = Future()
        self._ordered.append(_Ordered(command, future))
        self._call()
        return future

    def withdraw(self, proposal_ids: Sequence[str]) -> Future[Any]:
        """Take proposals out of the queue for slots; those that wait no longer are left alone.

        One that was submitted and is not decided yet will not join the queue.
        """

        def command(transaction: Transaction) -> None:
            remove_waiters(transaction, proposal_ids)

        # Commands go first in their turn, so they come too early for those that are yet to be decided.
        self._arrivals.append(set(proposal_ids))
        return self.run(command)

    def withdraw_all(self, reply: Reply) -> Future[Any]:
        """Take those who would be answered by ``reply`` out of the queue for slots."""

        def command(transaction: Transaction) -> None:
            mine = [id_ for id_, entry in self._waiting.items() if entry.reply == reply]
            remove_waiters(transaction, mine)

        return self.run(command)

    def move_waiting(self, before: str, after: str) -> None:
        """Let the proposals from here that waited under one session, which has ended, wait under another."""

        def command(_transaction: Transaction) -> None:
            moved = [entry for entry in self._waiting.values() if entry.proposal.session_id == before]
            for entry in moved:
                proposal = entry.proposal._replace(session_id=after)
                self._submitted.add([proposal], entry.reply)

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

    def _call(self) -> None:
        """Wake the pipeline's thread for what was put before it. Safe from any thread."""
        # Append first, then look; it is the other way round there.
        if not self._called.is_set():
            self._called.set()
        if self._closed:
            self._refuse()

    def _run(self) -> None:
        while self._await_work():
            ordered = [self._ordered.popleft() for _ in range(len(self._ordered))]
            self._take_in()  # after that, so that what was withdrawn is known when the command for it is done
            # Where somebody waits for a slot, what frees one is not to wait for a long turn.
            submitted = self._submitted.take(_MAX_BATCH_WAITING if self._waiting else MAX_BATCH)
            self._do(submitted, ordered)
        self._closed = True
        self._refuse()
        leftover = list(self._waiting.values())
        self._waiting.clear()
        for entry in leftover:
            _reply(entry.reply, [Failure(entry.proposal.id, _closed())])

    def _await_work(self) -> bool:
        """Return when there is something to do; False when all is done and the pipeline closes."""
        while True:
            self._called.clear()
            self._take_in()
            if self._submitted or self._ordered or self._wake_again:
                return True
            if self._closing:
                return False
            if not self._waiting:
                self._called.wait()
            elif not self._called.wait(_WATCH_SECONDS) and self._others_wrote():
                return True

    def _take_in(self) -> None:
        """Take what has arrived into the inbox, which is this thread's alone."""
        for _ in range(len(self._arrivals)):
            arrived = self._arrivals.popleft()
            if isinstance(arrived, set):
                self._submitted.disown(arrived)
            else:
                self._submitted.add(*arrived)

    def _refuse(self) -> None:
        """Answer what came too late, whichever thread finds it."""
        with contextlib.suppress(IndexError):
            while True:
                arrived = self._arrivals.popleft()
                if not isinstance(arrived, set):
                    proposals, reply = arrived
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

    def _do(self, submitted: list[Submitted], ordered: list[_Ordered]) -> None:
        """Do one batch; where it fails, do its parts one by one, so that only the culprit fails."""
        try:
            turn = self._transact(submitted, ordered)
        except Exception as error:  # noqa: BLE001 - whatever it is, its callers are told and the thread lives
            self._known.forget()
            if len(submitted) + len(ordered) > 1 and not isinstance(error, StoreUnavailableError):
                for entry in ordered:
                    self._do([], [entry])
                for one in submitted:
                    self._do([one], [])
                return
            self._fail(submitted, ordered, error)
            return
        self._tell(turn)
        self._database.committed()

    def _transact(self, submitted: list[Submitted], ordered: list[_Ordered]) -> _Turn:
        turn = _Turn()
        decided: tuple[Snapshot, Changes] | None = None
        with self._database.turn():
            now = self._clock()
            transaction = Transaction(self._database, now, new_id)
            self._known.begin(self._database.data_version())
            if ordered:  # commands may change any row
                self._known.forget()
            for entry in ordered:
                turn.returned.append(self._command(transaction, entry))
            if self._waiting:
                submitted = submitted + self._collect(transaction)
            woken_tags = transaction.woken_tags | self._wake_again
            woken_runs = transaction.woken_runs
            if submitted or woken_tags or woken_runs or transaction.ended_runs:
                proposals = [entry.proposal for entry in submitted]
                ended = list(transaction.ended_runs)
                snapshot = load(
                    transaction.driver,
                    proposals,
                    now,
                    self._known,
                    ended_runs=ended,
                    woken_tags=woken_tags,
                    woken_runs=woken_runs,
                )
                batch = Batch(snapshot, now, new_id, self.owner)
                for (_kind, run_id), message in transaction.ended_runs.items():
                    batch.crash(run_id, message)
                turn.results = [(entry.reply, batch.propose(entry.proposal)) for entry in submitted]
                turn.woken = batch.wake(woken_tags, woken_runs)
                turn.wake_again = batch.changes.wake_again
                write(transaction.driver, batch.changes, now)
                decided = snapshot, batch.changes
        if decided is not None:
            self._known.committed(*decided)
        turn.entangled = transaction.entangled
        for proposal_id in transaction.left_queue:
            self._waiting.pop(proposal_id, None)
        self._keep_waiting(submitted, turn)
        return turn

    def _command(
        self, transaction: Transaction, entry: _Ordered
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

    def _collect(self, transaction: Transaction) -> list[Submitted]:
        """Return our proposals that another process has decided; proposed again, they are replayed."""
        mine = (self.owner,)
        delivered = transaction.driver.execute(statements.DELIVERIES, mine).fetchall()
        if not delivered:
            return []
        transaction.driver.execute(statements.DELETE_DELIVERIES, mine)
        return [self._waiting[id_] for (id_,) in delivered if id_ in self._waiting]

    def _keep_waiting(self, submitted: list[Submitted], turn: _Turn) -> None:
        """Remember, after the commit, whom to answer later, and forget who has the last word."""
        self._wake_again = turn.wake_again
        nobody = not self._waiting
        for entry, (_, result) in zip(submitted, turn.results, strict=True):
            if isinstance(result, Answer) and result.queued:
                self._waiting[entry.proposal.id] = entry
            elif not (isinstance(result, Refusal) and result.problem is Problem.PROPOSAL_CONFLICT):
                # With a conflict, someone else waits under this id.
                self._waiting.pop(entry.proposal.id, None)
        for answer in turn.woken:
            entry_ = self._waiting.pop(answer.proposal_id, None)
            if entry_ is not None:
                turn.results.append((entry_.reply, answer))

        if nobody and self._waiting:
            self._on_waiting()

    def _tell(self, turn: _Turn) -> None:
        self._ancestor_log.tell(turn.entangled, (result for _reply, result in turn.results))
        replies: dict[Reply, list[Result]] = {}
        for reply, result in turn.results:
            replies.setdefault(reply, []).append(result)
        for reply, results in replies.items():
            _reply(reply, results)
        for future, value, error in turn.returned:
            _resolve(future, value, error)

    def _fail(self, submitted: list[Submitted], ordered: list[_Ordered], error: Exception) -> None:
        if not isinstance(error, ClearwayError):
            logger.error("a transaction failed and was rolled back", exc_info=error)
            if isinstance(getattr(error, "orig", None) or error, sqlite3.Error):
                reason = reason_of(error)
                error = StoreUnavailableError(f"the database did not take the transaction: {reason}")
            else:
                error = StoreUnavailableError(f"the service failed ({reason_of(error)}); its log says where")
        for one in submitted:
            _reply(one.reply, [Failure(one.proposal.id, error)])
        for entry in ordered:
            _resolve(entry.future, None, error)
        if not submitted and not ordered:
            if self._closing:
                self._wake_again = set()
            # Whom to wake is not forgotten, and tried again; not at once, since nothing may have changed.
            time.sleep(_PAUSE_SECONDS)


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
