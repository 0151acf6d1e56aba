"""The queue of what is to be sent on a stream, and its packing into messages."""

from __future__ import annotations

from collections import deque
from typing import Final

from clearway._transport.errors import exception_for
from clearway._transport.pending import PendingProposal, PendingProposals
from clearway.v1 import error_pb2
from clearway.v1.proposal_pb2 import Await, ProposeRequest

_MAX_PROPOSALS: Final = 256
_MAX_WITHDRAWALS: Final = 4_096
_MAX_AWAITS: Final = 4_096


class Outbox:
    """Proposals and withdrawals to send, in the order in which they were made.

    Any thread may add; one writer takes. A proposal is added to ``pending`` first, so that a stream opened in
    between finds it there. It is then queued twice, and ``PendingProposal.stream`` prevents sending it twice.
    """

    def __init__(self, pending: PendingProposals) -> None:
        self._pending = pending
        self._items: deque[PendingProposal | str] = deque()
        self._withdrawn: deque[str] = deque(maxlen=_MAX_WITHDRAWALS)
        self._awaits: deque[Await] = deque(maxlen=_MAX_AWAITS)
        self._stream = 0

    def add(self, entry: PendingProposal) -> None:
        """Add a proposal that is pending."""
        self._items.append(entry)

    def withdraw(self, entry: PendingProposal) -> bool:
        """Add a proposal's withdrawal; return False if there is nothing to send because it was not sent."""
        if not entry.stream:
            return False
        self._withdrawn.append(entry.proposal.id)
        self._items.append(entry.proposal.id)
        return True

    def note_await(self, task_run_id: str, awaited_task_run_id: str) -> None:
        """Add that a task run's code waits for another run; with an empty id, that it no longer waits."""
        self._awaits.append(Await(task_run_id=task_run_id, awaited_task_run_id=awaited_task_run_id))

    def begin_session(self) -> None:
        """Forget the withdrawals of the previous session."""
        self._withdrawn.clear()

    def begin_stream(self) -> bool:
        """Queue what the service may not have, for a new stream; return whether that includes proposals."""
        self._stream += 1
        self._items.clear()
        self._items.extend(list(self._withdrawn))
        unanswered = self._pending.all()
        self._items.extend(unanswered)
        return bool(unanswered)

    def take(self, max_bytes: int) -> list[bytes]:
        """Return the next message; or several, if one would exceed the service's limit.

        Skips proposals that were withdrawn or were sent on this stream.

        Args:
            max_bytes: The largest message that the service accepts; 0 for no limit.
        """
        entries: list[PendingProposal] = []
        withdrawals: list[str] = []
        while self._items and len(entries) < _MAX_PROPOSALS and len(withdrawals) < _MAX_WITHDRAWALS:
            item = self._items.popleft()
            if isinstance(item, str):
                withdrawals.append(item)
            elif item.stream != self._stream and self._pending.is_pending(item):
                item.stream = self._stream
                entries.append(item)
        messages = self._messages(entries, withdrawals, max_bytes) if entries or withdrawals else []
        if self._awaits:
            awaits = [self._awaits.popleft() for _ in range(len(self._awaits))]
            messages.append(ProposeRequest(awaits=awaits).SerializeToString())
        return messages

    def _messages(
        self, entries: list[PendingProposal], withdrawals: list[str], max_bytes: int
    ) -> list[bytes]:
        request = ProposeRequest(proposals=[entry.proposal for entry in entries], withdrawals=withdrawals)
        body = request.SerializeToString()
        if len(body) <= max_bytes or not max_bytes:
            return [body]
        if len(entries) == 1:
            message = f"the proposal has {len(body):,} bytes, and the service takes {max_bytes:,} at most"
            self._pending.fail(entries[0], exception_for(error_pb2.ERROR_REASON_INVALID_ARGUMENT, message))
            entries = []
        half = len(entries) // 2
        first = self._messages(entries[:half], withdrawals, max_bytes) if half or withdrawals else []
        return first + (self._messages(entries[half:], [], max_bytes) if entries else [])
