"""The inbox: proposals that wait for their turn, and whom to answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from operator import attrgetter
from typing import NamedTuple

from clearway_service.core.proposals import Answer, Outcome, Proposal
from clearway_service.core.states import TERMINAL
from clearway_service.engine.budget import Caller
from clearway_service.errors import ClearwayError

# How many proposals each client may have decided in a round: as many as decisions share a message.
QUANTUM = 256
# Clients with at most so many are alike, and come in the order in which they began to wait.
_FEW = 8
# Of how many clients that have nothing left it is remembered what they had in the present round.
REMEMBERED = 256
# About what one turn's decisions may take in memory, shared by the clients that have a part in it.
TURN_BYTES = 16 * 1024 * 1024
# What a decision takes beside the state's result and message.
_DECISION_BYTES = 512


class Failure(NamedTuple):
    """A proposal that met an error before it could be decided about; nothing was changed."""

    proposal_id: str
    error: ClearwayError


Result = Outcome | Failure
Reply = Callable[[list[Result]], None]


def size_of(result: Result) -> int:
    """Return about how many bytes a decision takes, from what a client chose the size of."""
    if not isinstance(result, Answer):
        return _DECISION_BYTES
    state = result.state
    return _DECISION_BYTES + len(state.message) + (0 if state.data is None else len(state.data))


class Submitted(NamedTuple):
    """A proposal and whom to answer.

    Attributes:
        proposal: The proposal.
        reply: Called with what became of it.
        caller: Whose it is; None for a client within this process.
        arrival: Its place in the order of arrival, which those submitted together share.
        size: What it takes in memory, as it was counted, in bytes.
        looked_up: Whether it was decided about before: the record is returned, and nothing is decided.
    """

    proposal: Proposal
    reply: Reply
    caller: Caller | None = None
    arrival: int = 0
    size: int = 0
    looked_up: bool = False


class _Queue:
    """What one client has submitted, in its order.

    Attributes:
        key: The client.
        entries: The proposals.
        ends: How many of them, from the first one on, go ahead of others' beginnings.
        most: How many it may still have in the turn that is being taken.
    """

    __slots__ = ("caller", "ends", "entries", "key", "most")

    def __init__(self, key: Caller | Reply, caller: Caller | None) -> None:
        self.key = key
        self.caller = caller
        self.entries: deque[Submitted] = deque()
        self.ends = 0
        self.most = 0

    def available(self, *, ends: bool) -> int:
        """Return how many can be taken: of the ends, or else of the others, which come after all ends."""
        if ends:
            return min(self.ends, self.most)
        return 0 if self.ends else min(len(self.entries), self.most)


class Inbox:
    """Proposals of many clients, in turns that are fair to all of them: deficit round robin.

    In a round each client has the same quantum. A turn takes from the clients that have some of it left,
    those with few proposals first: so a small client is part of the next turn, whatever others have
    submitted, and large ones come one after the other, as their decisions then share messages. When no
    client has any left, the next round begins. Every second turn is for the small clients alone, where there
    are any beside large ones and turns are long: it takes a millisecond, and the others take tens.

    A client's own proposals stay in their order. Those that end runs, where the client has nothing else
    waiting, go ahead of what other clients begin: an end may free what others wait for, and it never joins a
    queue, so no other proposal loses its place to it. Within a turn the order is that of arrival.

    Args:
        on_room: Called, on any thread, when a client that was passed over for want of room has room again;
            ``resume`` is to be called for it, on the inbox's own thread.

    Source: deficit round robin (Shreedhar and Varghese, 1995), with the light flows first (McKenney, 1990).
    """

    def __init__(self, on_room: Callable[[Caller], None] | None = None) -> None:
        self._on_room = on_room or (lambda _caller: None)
        self._queues: dict[Caller | Reply, _Queue] = {}
        self._blocked: dict[Caller | Reply, _Queue] = {}
        self._had: dict[Caller | Reply, int] = {}  # of this round's quantum
        self._arrived = 0
        self._disowned: dict[str, int] = {}  # with the arrival up to which that holds
        self._was_brief = False  # whether the last turn was for small clients alone

    def __len__(self) -> int:
        return sum(
            len(queue.entries) for queues in (self._queues, self._blocked) for queue in queues.values()
        )

    @property
    def ready(self) -> bool:
        """Whether there is anything that may be decided: its client has room for the decision."""
        return bool(self._queues)

    @property
    def clients(self) -> int:
        """How many clients have something that may be decided."""
        return len(self._queues)

    def add(
        self, proposals: Sequence[Proposal], reply: Reply, caller: Caller | None = None, size: int = 0
    ) -> None:
        """Add proposals of one client; without a caller, ``reply`` says which one that is."""
        queue = self._queue(reply, caller)
        if queue.ends == len(queue.entries) and all(each.state.type in TERMINAL for each in proposals):
            queue.ends += len(proposals)
        self._arrived += 1
        arrival = self._arrived
        queue.entries.extend([Submitted(each, reply, caller, arrival, size) for each in proposals])

    def put_back(self, entries: Iterable[Submitted]) -> None:
        """Put back what was taken last, to be taken again before what its clients submitted since."""
        for entry in reversed(list(entries)):
            queue = self._queue(entry.reply, entry.caller)
            queue.entries.appendleft(entry)
            queue.ends = queue.ends + 1 if entry.proposal.state.type in TERMINAL else 0

    def take(self, most: int) -> list[Submitted]:
        """Take those that are next, at most so many, from all clients that have something.

        A quarter is for those that end nothing, however many ends there are.
        """
        if self._disowned:
            self._mark_unwanted()
        if len(self._queues) == 1 and (alone := self._take_alone(most)):
            return alone
        queues = self._of_this_turn(self._with_room(), most)
        for queue in queues:
            queue.most = most if queue.caller is None else _allowed(queue.caller, len(queues))
        others = sum(len(queue.entries) - queue.ends for queue in queues)
        taken = self._deal(queues, most - min(others, most // 4), ends=True)
        taken += self._deal(queues, most - len(taken), ends=False)
        for queue in queues:
            if not queue.entries:
                del self._queues[queue.key]
        if not self._queues:  # the round is over
            self._had.clear()
        elif len(self._had) > REMEMBERED:
            self._forget()
        return taken

    def _take_alone(self, most: int) -> list[Submitted]:
        """Take all that the only client has, if it may all be in one turn; else nothing. The hot path."""
        (queue,) = self._queues.values()
        caller = queue.caller
        if len(queue.entries) > most or (
            caller is not None and not (caller.room() > 0 and len(queue.entries) <= _allowed(caller, 1))
        ):
            return []
        self._queues.clear()
        self._had.clear()
        self._was_brief = False
        return list(queue.entries)

    def _of_this_turn(self, queues: list[_Queue], most: int) -> list[_Queue]:
        """Return the queues of small clients where they have a turn of their own, or else all."""
        small = [queue for queue in queues if len(queue.entries) <= _FEW]
        self._was_brief = most > QUANTUM and 0 < len(small) < len(queues) and not self._was_brief
        return small if self._was_brief else queues

    def _forget(self) -> None:
        """Forget, among clients that have nothing left, those that were first served longest ago.

        A client that comes back in each turn is so remembered, and short ones do not pile up.
        """
        left = [key for key in self._had if key not in self._queues and key not in self._blocked]
        for key in left[: max(0, len(left) - REMEMBERED)]:
            del self._had[key]

    def _deal(self, queues: list[_Queue], most: int, *, ends: bool) -> list[Submitted]:
        """Take at most so many, of the ends or of the others, in as many rounds as it takes."""
        taken: list[Submitted] = []
        parts = 0
        while most > len(taken) and (queues := [each for each in queues if each.available(ends=ends)]):
            had = self._had
            fresh = [each for each in queues if had.get(each.key, 0) < QUANTUM]
            if not fresh:
                had.clear()
                fresh = queues
            fresh.sort(key=lambda queue: max(queue.available(ends=ends), _FEW))
            for queue in fresh:
                used = had.get(queue.key, 0)
                count = min(queue.available(ends=ends), QUANTUM - used, most - len(taken))
                if count <= 0:
                    break
                taken += [queue.entries.popleft() for _ in range(count)]
                had[queue.key] = used + count
                queue.most -= count
                if ends:
                    queue.ends -= count
                parts += 1
        if parts > 1:
            taken.sort(key=attrgetter("arrival"))
        return taken

    def resume(self, caller: Caller) -> None:
        """Take from a client again, which has room now."""
        queue = self._blocked.pop(caller, None)
        if queue is not None:
            self._queues[caller] = queue

    def disown(self, proposal_ids: Collection[str]) -> int:
        """Note that some were withdrawn: they are decided in their turn, but take no slot.

        Returns:
            The last arrival to which that applies.
        """
        self._disowned.update(dict.fromkeys(proposal_ids, self._arrived))
        return self._arrived

    def take_all(self) -> list[Submitted]:
        """Take all that is left, room or no room."""
        queues = [*self._queues.values(), *self._blocked.values()]
        taken = [entry for queue in queues for entry in queue.entries]
        self._queues.clear()
        self._blocked.clear()
        return taken

    def _queue(self, reply: Reply, caller: Caller | None) -> _Queue:
        key = reply if caller is None else caller
        queue = self._queues.get(key) or self._blocked.get(key)
        if queue is None:
            queue = self._queues[key] = _Queue(key, caller)
        return queue

    def _with_room(self) -> list[_Queue]:
        """Return the queues of clients that have room for decisions; set the others aside until they have."""
        with_room = []
        for key, queue in list(self._queues.items()):
            caller = queue.caller
            if caller is None or caller.room() > 0 or caller.when_room(partial(self._on_room, caller)):
                with_room.append(queue)
            else:
                self._blocked[key] = self._queues.pop(key)
        return with_room

    def _mark_unwanted(self) -> None:
        """Mark what was disowned; once for all that was since the last turn, however often that was."""
        disowned, self._disowned = self._disowned, {}
        for queue in (*self._queues.values(), *self._blocked.values()):
            if any(entry.proposal.id in disowned for entry in queue.entries):
                queue.entries = deque(
                    entry._replace(proposal=entry.proposal._replace(queues=False, keeps=0, unwanted=True))
                    if entry.arrival <= disowned.get(entry.proposal.id, 0)
                    else entry
                    for entry in queue.entries
                )


def _allowed(caller: Caller, clients: int) -> int:
    """Return how many proposals of a client may share a turn, by what its decisions take; 1 at least."""
    return max(1, min(TURN_BYTES // clients, caller.room()) // caller.expected)
