"""Inbox: queued proposals, of which each client gets a fair share of every turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from operator import attrgetter

from clearway_service.core.proposals import Proposal
from clearway_service.core.states import TERMINAL
from clearway_service.engine.budget import Caller
from clearway_service.engine.submitted import Reply, Submitted

# How many proposals of each client are decided per round: as many as there are decisions in a message.
QUANTUM = 256
# Clients with at most this many proposals are served in the order in which they began to wait.
_FEW = 8
# For how many clients with no proposals left their use of the current round is remembered.
REMEMBERED = 256
# The approximate memory for one turn's decisions, shared by the clients that take part in it.
TURN_BYTES = 16 * 1024 * 1024


class _Queue:
    """The submitted proposals of one client, in order.

    Attributes:
        key: The client.
        entries: The proposals.
        ends: How many of the leading ones end runs, and so go before other clients' starts.
        most: How many more it may have in the current turn.
    """

    __slots__ = ("caller", "ends", "entries", "key", "most")

    def __init__(self, key: Caller | Reply, caller: Caller | None) -> None:
        self.key = key
        self.caller = caller
        self.entries: deque[Submitted] = deque()
        self.ends = 0
        self.most = 0

    def available(self, *, ends: bool) -> int:
        """Return how many can be taken: of the ``ends``; or of the rest, once no ``ends`` are left."""
        if ends:
            return min(self.ends, self.most)
        return 0 if self.ends else min(len(self.entries), self.most)


class Inbox:
    """Divides turns fairly among the proposals of many clients, by deficit round robin.

    Each client has the same quantum per round. A turn takes from clients with some quantum left, those with
    the fewest proposals first. So a small client is part of the next turn, no matter how much others have
    submitted, and large clients are served one after the other, which lets their decisions share messages.
    When no client has any quantum left, the next round begins. If turns are long and there are both small
    and large clients, every second turn is for the small ones alone: it takes one millisecond, not tens.

    A client's proposals stay in order. Proposals at the head of its queue that end runs go before other
    clients' starts: an end may free slots that others wait for, and it never joins a queue for slots, so no
    other proposal loses its place. Within a turn, the order is that of arrival.

    Args:
        on_room: Called, on any thread, when a client that was skipped for lack of room has room again. The
            caller must then call ``resume`` for it on the inbox's own thread.

    Source: deficit round robin (Shreedhar and Varghese, 1995), with the light flows first (McKenney, 1990).
    """

    def __init__(self, on_room: Callable[[Caller], None] | None = None) -> None:
        self._on_room = on_room or (lambda _caller: None)
        self._queues: dict[Caller | Reply, _Queue] = {}
        self._blocked: dict[Caller | Reply, _Queue] = {}
        self._had: dict[Caller | Reply, int] = {}  # of this round's quantum
        self._arrived = 0
        self._disowned: dict[str, int] = {}  # to the last arrival it applies to
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
        """The number of clients with proposals that may be decided."""
        return len(self._queues)

    def add(
        self, proposals: Sequence[Proposal], reply: Reply, caller: Caller | None = None, size: int = 0
    ) -> None:
        """Add proposals of one client, identified by ``reply`` if there is no caller."""
        queue = self._queue(reply, caller)
        if queue.ends == len(queue.entries) and all(each.state.type in TERMINAL for each in proposals):
            queue.ends += len(proposals)
        self._arrived += 1
        arrival = self._arrived
        queue.entries.extend([Submitted(each, reply, caller, arrival, size) for each in proposals])

    def put_back(self, entries: Iterable[Submitted]) -> None:
        """Put back proposals that were just taken, ahead of later ones of the same clients."""
        for entry in reversed(list(entries)):
            queue = self._queue(entry.reply, entry.caller)
            queue.entries.appendleft(entry)
            queue.ends = queue.ends + 1 if entry.proposal.state.type in TERMINAL else 0

    def take(self, most: int) -> list[Submitted]:
        """Remove and return the proposals for the next turn, from all clients.

        At least a quarter of the turn is for proposals that are not ``ends``.

        Args:
            most: How many proposals the turn has at most.
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
        """Take all proposals of the only client if they fit into one turn, else none. The hot path."""
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
        """Return the queues of the small clients if this turn is for them alone, else all queues."""
        small = [queue for queue in queues if len(queue.entries) <= _FEW]
        self._was_brief = most > QUANTUM and 0 < len(small) < len(queues) and not self._was_brief
        return small if self._was_brief else queues

    def _forget(self) -> None:
        """Evict clients with no proposals left, those first served longest ago first.

        So a client that submits in every turn is remembered, and short-lived ones do not accumulate.
        """
        left = [key for key in self._had if key not in self._queues and key not in self._blocked]
        for key in left[: max(0, len(left) - REMEMBERED)]:
            del self._had[key]

    def _deal(self, queues: list[_Queue], most: int, *, ends: bool) -> list[Submitted]:
        """Take at most ``most`` proposals, either ends or others, in as many rounds as needed."""
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
        """Serve a client again that now has room for decisions."""
        queue = self._blocked.pop(caller, None)
        if queue is not None:
            self._queues[caller] = queue

    def disown(self, proposal_ids: Collection[str]) -> int:
        """Mark proposals as withdrawn: they are decided in their turn, but take no slot.

        Returns:
            The last arrival that this applies to.
        """
        self._disowned.update(dict.fromkeys(proposal_ids, self._arrived))
        return self._arrived

    def take_all(self) -> list[Submitted]:
        """Take all proposals that are left, regardless of room."""
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
        """Return the queues of clients with room for decisions; set the others aside until they have."""
        with_room = []
        for key, queue in list(self._queues.items()):
            caller = queue.caller
            if caller is None or caller.room() > 0 or caller.when_room(partial(self._on_room, caller)):
                with_room.append(queue)
            else:
                self._blocked[key] = self._queues.pop(key)
        return with_room

    def _mark_unwanted(self) -> None:
        """Mark withdrawn proposals, once per turn for all withdrawals since the last one."""
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
    """Return how many proposals of a client may share a turn, by the size of its decisions; at least 1."""
    return max(1, min(TURN_BYTES // clients, caller.room()) // caller.expected)
