"""Pipeline: all that arrived while the last batch was committed forms the next one.

    proposals and commands → queue → [ load → decide → write → commit ] → answers

One thread owns the connection that writes. It takes whatever is pending, does it in one transaction, and only
then answers: a decision that a client was sent is durable. There is no timer and no fixed batch size.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum
from typing import Any

from clearway_service.core.proposals import Proposal
from clearway_service.engine.budget import Call, Caller
from clearway_service.engine.clock import Clock, new_id
from clearway_service.engine.commands import Command, Commands, Ordered
from clearway_service.engine.deadlock_log import DeadlockLog
from clearway_service.engine.inbox import Inbox
from clearway_service.engine.replies import failure_of, going_down, resolve, send, settle
from clearway_service.engine.submitted import Failure, Reply, Result, Submitted
from clearway_service.engine.turn import Turn, Writer
from clearway_service.engine.waiters import Waiters
from clearway_service.errors import StoreUnavailableError
from clearway_service.store.database import LOOK_SECONDS, Database
from clearway_service.store.sessions import remove_waiters
from clearway_service.store.transaction import Transaction

# At most this many proposals share a transaction, so that its first one is not kept waiting.
MAX_BATCH = 1024
# Fewer while several clients propose, so that each has a part in a turn soon.
_MAX_BATCH_SHARED = 768
_SHARED_SECONDS = 1.0
# And fewer while a client waits for a slot.
_MAX_BATCH_WAITING = 64
# At most this many may come in one message of a stream.
MAX_PROPOSALS = 4096
# While a client here waits for a slot, another process may free it: how often its commits are looked for.
_WATCH_SECONDS = 0.01
# How long a turn that no client asked for, and that failed, waits before it is tried again.
_PAUSE_SECONDS = 0.05


_Arrival = tuple[Sequence[Proposal], Reply, Caller | None, int]


class Stage(Enum):
    """What a pipeline still does."""

    OPEN = "takes work"
    CLOSING = "does what was queued"
    CLOSED = "refuses all"


@dataclass(slots=True)
class _Withdrawal:
    """Proposals that their client withdrew, and the last arrival before that."""

    proposal_ids: frozenset[str]
    arrival: int = 0


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
        self._waiters = Waiters(self.owner)
        self._writer = Writer(database, clock, self.owner, self._waiters)
        self._seen_version = -1
        self._deadlock_log = DeadlockLog()
        self._stage = Stage.OPEN
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
            came_after = self._waiters.came_after
            ids = [id_ for id_ in proposal_ids if not came_after(id_, withdrawal.arrival)]
            remove_waiters(transaction, ids)
            return transaction.left_queue.intersection(ids)

        # Proposals that came before are yet to be decided, perhaps after the command.
        self._arrivals.append(withdrawal)
        return self.run(command, call)

    def withdraw_all(self, reply: Reply, call: Call | None = None) -> Future[Any]:
        """Take those who would be answered by ``reply`` out of the queue for slots.

        Returns:
            As ``withdraw`` does.
        """

        def command(transaction: Transaction) -> set[str]:
            mine = self._waiters.answered_by(reply)
            remove_waiters(transaction, mine)
            return transaction.left_queue.intersection(mine)

        return self.run(command, call)

    def move_waiting(self, before: str, after: str) -> None:
        """Let the proposals from here that waited under one session, which has ended, wait under another."""

        def command(_transaction: Transaction) -> None:
            for entry in self._waiters.of_session(before):
                proposal = entry.proposal._replace(session_id=after)
                self._submitted.add([proposal], entry.reply, entry.caller)

        self.run(command)

    @property
    def waiting(self) -> int:
        """How many proposals from here wait for a slot."""
        return len(self._waiters)

    def close(self) -> None:
        """Do all that was queued, then stop. A proposal that still waits for a slot fails."""
        if self._stage is Stage.OPEN:
            self._stage = Stage.CLOSING
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
        if self._stage is Stage.CLOSED:
            self._refuse()

    def _run(self) -> None:
        while self._await_work():
            self._clock.notice()
            self._do(self._submitted.take(self._most()), self._commands.take())
        self._stage = Stage.CLOSED
        self._refuse()
        leftover = [*self._waiters.take_all(), *self._submitted.take_all()]
        settle(leftover)
        for entry in leftover:
            send(entry.reply, [Failure(entry.proposal.id, going_down())])

    def _most(self) -> int:
        """Return how many proposals the next turn takes."""
        if self._waiters:  # what frees a slot is not to wait for a long turn
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
            if self._submitted.ready or self._commands or self._waiters.due:
                return True
            if self._stage is not Stage.OPEN:
                return False
            self._database.look()
            if not self._waiters:
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
                    send(reply, [Failure(proposal.id, going_down()) for proposal in proposals])
        with contextlib.suppress(IndexError):
            while True:
                resolve(self._ordered.popleft().future, None, going_down())

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

    def _try(self, submitted: list[Submitted], ordered: list[Ordered]) -> Turn | None:
        """Do one batch and send its results; return None where it failed and has parts to be tried alone."""
        turn = Turn()
        nobody = not self._waiters
        try:
            self._writer.take_turn(turn, submitted, ordered)
        except Exception as error:  # noqa: BLE001 - whatever it is, its callers are told and the thread lives
            self._writer.forget()
            if turn.written:
                # It may be durable all the same. Callers try again and get what is recorded; waiters do not.
                self._waiters.doubt()
                self._waiters.wake_again |= turn.wake_again
            elif len(submitted) + len(ordered) > 1 and not isinstance(error, StoreUnavailableError):
                return None
            self._fail(submitted, ordered, error)
            return Turn()
        if nobody and self._waiters:
            self._on_waiting()
        settle(turn.decided)
        self._tell(turn)
        self._database.committed()
        return turn

    def _tell(self, turn: Turn) -> None:
        replies: dict[Reply, list[Result]] = {}
        for reply, result in turn.results():
            replies.setdefault(reply, []).append(result)
        self._deadlock_log.tell(turn.entangled, replies.values())
        for reply, results in replies.items():
            send(reply, results)
        for future, value, error in turn.returned:
            resolve(future, value, error)

    def _fail(self, submitted: list[Submitted], ordered: list[Ordered], error: Exception) -> None:
        failure = failure_of(error)
        settle(submitted)
        for one in submitted:
            send(one.reply, [Failure(one.proposal.id, failure)])
        for entry in ordered:
            resolve(entry.future, None, failure)
        if not submitted and not ordered:
            if self._stage is not Stage.OPEN:
                self._waiters.forget_due()
            # What is due is not forgotten, and tried again; not at once, since nothing may have changed.
            time.sleep(_PAUSE_SECONDS)
