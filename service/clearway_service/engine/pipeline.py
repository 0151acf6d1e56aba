"""Pipeline: batches everything that arrives while the previous batch commits.

    proposals and commands → queue → [ load → decide → write → commit ] → answers

One thread owns the write connection. It takes whatever is pending, processes it in one transaction, and
replies after the commit: a decision that a client has received is durable. There is no timer and no fixed
batch size.
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
from clearway_service.store.session_ends import remove_waiters
from clearway_service.store.transaction import Transaction

# At most this many proposals share a transaction, to bound the latency of the first one.
MAX_BATCH = 1024
# Fewer while several clients propose, so that each gets its part of a turn soon.
_MAX_BATCH_SHARED = 768
_SHARED_SECONDS = 1.0
# Even fewer while a client waits for a slot.
_MAX_BATCH_WAITING = 64
# The limit for one message of a stream.
MAX_PROPOSALS = 4096
# How often other processes' commits are checked for while a client of this engine waits for a slot.
_WATCH_SECONDS = 0.01
# The delay before a failed turn that no client requested is retried.
_PAUSE_SECONDS = 0.05


_Arrival = tuple[Sequence[Proposal], Reply, Caller | None, int]


class Stage(Enum):
    """The life cycle of a pipeline."""

    OPEN = "accepts work"
    CLOSING = "completes queued work"
    CLOSED = "refuses all work"


@dataclass(slots=True)
class _Withdrawal:
    """Proposals withdrawn by their client, and the last arrival before the withdrawal."""

    proposal_ids: frozenset[str]
    arrival: int = 0


class Pipeline:
    """Decides proposals and runs commands, in batches on its own thread.

    Args:
        database: The database, whose writer then belongs to the pipeline.
        clock: Gives the time of each batch.
        on_waiting: Called on the pipeline's thread when a client of this engine begins to wait for a slot.
    """

    def __init__(self, database: Database, clock: Clock, on_waiting: Callable[[], None]) -> None:
        self.owner = new_id()
        self._database = database
        self._clock = clock
        self._on_waiting = on_waiting
        # Many task threads submit at once. A shared lock convoys under the GIL; `deque.append` needs none.
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
        """Queue proposals. Thread-safe; returns at once.

        Args:
            proposals: Decided in this order, after earlier ones of the same client.
            reply: Called on the pipeline's thread after the commit, with the results of a batch together. A
                proposal that has to wait for a slot gets a queued wait, and later its final decision.
            caller: The client, which gets a share of each turn, and whose proposals are decided only while it
                has room for the decisions; None for a client within this process, identified by ``reply``.
            size: The memory for each proposal, in bytes, counted for the caller until it is decided.
        """
        if caller is not None and size:
            caller.take_in(size * len(proposals))
        self._arrivals.append((proposals, reply, caller, size))
        self._call()

    def run(self, command: Command, call: Call | None = None) -> Future[Any]:
        """Queue a command to run in a batch's transaction; the future gets its result after the commit.

        Args:
            command: The command.
            call: The client's request, which takes turns with those of other clients; None for the engine
                itself, which waits for no client.
        """
        future: Future[Any] = Future()
        self._ordered.append(Ordered(command, future, call))
        self._call()
        return future

    def withdraw(self, proposal_ids: Sequence[str], call: Call | None = None) -> Future[Any]:
        """Remove proposals from the queue for slots; those that no longer wait are left alone.

        A submitted proposal that is not decided yet will not join the queue.

        Returns:
            A future with the ids of those that were queued; they get no further decision.
        """
        withdrawal = _Withdrawal(frozenset(proposal_ids))

        def command(transaction: Transaction) -> set[str]:
            # The command may have been queued for a while: proposals sent again since then stay queued.
            came_after = self._waiters.came_after
            ids = [id_ for id_ in proposal_ids if not came_after(id_, withdrawal.arrival)]
            remove_waiters(transaction, ids)
            return transaction.left_queue.intersection(ids)

        # Proposals submitted before may still be undecided, perhaps until after the command.
        self._arrivals.append(withdrawal)
        return self.run(command, call)

    def withdraw_all(self, reply: Reply, call: Call | None = None) -> Future[Any]:
        """Remove all proposals of the client with ``reply`` from the queue for slots.

        Returns:
            As ``withdraw`` does.
        """

        def command(transaction: Transaction) -> set[str]:
            mine = self._waiters.answered_by(reply)
            remove_waiters(transaction, mine)
            return transaction.left_queue.intersection(mine)

        return self.run(command, call)

    def move_waiting(self, before: str, after: str) -> None:
        """Move this engine's waiting proposals from one session, which has ended, to another."""

        def command(_transaction: Transaction) -> None:
            for entry in self._waiters.of_session(before):
                proposal = entry.proposal._replace(session_id=after)
                self._submitted.add([proposal], entry.reply, entry.caller)

        self.run(command)

    @property
    def waiting(self) -> int:
        """The number of this engine's proposals that wait for a slot."""
        return len(self._waiters)

    def close(self) -> None:
        """Process everything queued, then stop. Proposals that still wait for a slot fail."""
        if self._stage is Stage.OPEN:
            self._stage = Stage.CLOSING
        self._called.set()
        self._thread.join()

    def _resume(self, caller: Caller) -> None:
        """Resume the proposals of a client that has room for decisions again. Thread-safe."""
        self._arrivals.append(caller)
        self._call()

    def _call(self) -> None:
        """Wake the pipeline's thread to process new arrivals. Thread-safe."""
        # Callers append, then check the event; the thread clears it, then checks the queue.
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
        if self._waiters:  # an end that frees a slot must not wait for a long turn
            return _MAX_BATCH_WAITING
        if self._submitted.clients > 1:
            self._shared_until = time.monotonic() + _SHARED_SECONDS
            return _MAX_BATCH_SHARED
        return MAX_BATCH if time.monotonic() > self._shared_until else _MAX_BATCH_SHARED

    def _await_work(self) -> bool:
        """Wait for work, and return True; or return False when the pipeline is closing and all is done."""
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
        """Move arrivals into the queues, which belong to this thread alone."""
        for _ in range(len(self._ordered)):
            self._commands.add(self._ordered.popleft())
        # After the commands: a withdrawal is appended before its command, so it is known when that runs.
        for _ in range(len(self._arrivals)):
            arrived = self._arrivals.popleft()
            if isinstance(arrived, _Withdrawal):
                arrived.arrival = self._submitted.disown(arrived.proposal_ids)
            elif isinstance(arrived, Caller):
                self._submitted.resume(arrived)
            else:
                self._submitted.add(*arrived)

    def _refuse(self) -> None:
        """Fail work that arrived after the close, on whichever thread finds it."""
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
        """Return True if another process has committed since the last check, and may have decided for us."""
        version = self._database.data_version()
        changed = version != self._seen_version
        self._seen_version = version
        return changed

    def _do(self, submitted: list[Submitted], ordered: list[Ordered]) -> None:
        """Process a batch; if it fails, process its parts one by one, so that only the culprit fails."""
        turn = self._try(submitted, ordered)
        if turn is not None:
            self._submitted.put_back(turn.put_back)
            return
        put_back: list[Submitted] = []
        for entry in ordered:
            # A command may free slots for runs whose clients have no room for the decision yet.
            if (alone := self._try([], [entry])) is not None:
                put_back += alone.put_back
        for one in submitted:
            # After one that is put back, its client's other proposals must wait too.
            if any(each.caller is one.caller for each in put_back):
                put_back.append(one)
            elif (alone := self._try([one], [])) is not None:
                put_back += alone.put_back
        self._submitted.put_back(put_back)

    def _try(self, submitted: list[Submitted], ordered: list[Ordered]) -> Turn | None:
        """Process a batch and send its results; return None if it failed and its parts can be tried alone."""
        turn = Turn()
        nobody = not self._waiters
        try:
            self._writer.take_turn(turn, submitted, ordered)
        except Exception as error:  # noqa: BLE001 - callers get any error, and the thread survives
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
