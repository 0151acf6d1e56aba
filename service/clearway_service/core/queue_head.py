"""QueueHead: the first waiters of a queue, as many as were loaded, and what is known of the rest."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from clearway_service.core.proposals import Waiter

# Positions before and behind all that waiters have.
_NOTHING: Final = -1
_END: Final = 2**63


@dataclass(slots=True)
class QueueHead:
    """The waiters of a queue up to a position, the earliest first; by default all of an empty queue.

    Attributes:
        waiters: Exactly those whose positions are not behind ``known_to``.
        known_to: The position up to which the queue is known.
        length: How many waiters the whole queue has, if a proposal of the batch may join it.
    """

    waiters: list[Waiter] = field(default_factory=list)
    known_to: int = _END
    length: int = 0

    @classmethod
    def unknown(cls) -> QueueHead:
        """Return a head of a queue of which nothing was loaded."""
        return cls(known_to=_NOTHING)

    @classmethod
    def of(cls, waiters: Sequence[Waiter], depth: int) -> QueueHead:
        """Return the head of a queue with the first ``depth`` waiters, given one more if there is one."""
        known_to = _END if len(waiters) <= depth else waiters[depth - 1].position
        head = cls(list(waiters[:depth]), known_to)
        head.length = len(head.waiters)
        return head

    def __bool__(self) -> bool:
        return bool(self.waiters)

    def __iter__(self) -> Iterator[Waiter]:
        return iter(self.waiters)

    def __len__(self) -> int:
        return len(self.waiters)

    @property
    def first(self) -> Waiter | None:
        """The earliest waiter that is known; None for none."""
        return self.waiters[0] if self.waiters else None

    @property
    def last(self) -> Waiter | None:
        """The last waiter that is known; None for none."""
        return self.waiters[-1] if self.waiters else None

    @property
    def whole(self) -> bool:
        """Whether nobody waits who is not known."""
        return self.known_to == _END

    def hides_one_before(self, position: int) -> bool:
        """Return whether a waiter that was not loaded is the first, and comes before ``position``.

        That is so when all that were loaded have left. A queue of which nothing was loaded is that of a
        resource with nothing free, so it hides nobody who could go first.
        """
        return not self.waiters and _NOTHING < self.known_to < position

    def first_unseen(self, seen: set[str]) -> Waiter | None:
        """Return the earliest waiter whose proposal's id is not in ``seen``; None for none."""
        return next((waiter for waiter in self.waiters if waiter.proposal.id not in seen), None)

    def put_in(self, waiter: Waiter) -> None:
        """Put a waiter in its place, unless that is behind what is known."""
        if waiter.position <= self.known_to:
            insort(self.waiters, waiter, key=_position)

    def take_out(self, waiter: Waiter) -> bool:
        """Take a waiter out; return whether it was there."""
        return take_out(self.waiters, waiter)

    def replace(self, waiter: Waiter) -> None:
        """Put a waiter in the place of the one with its proposal, if that is there."""
        replace(self.waiters, waiter)


def take_out(waiters: list[Waiter], waiter: Waiter) -> bool:
    """Take the one with a waiter's proposal out of a list; return whether it was there."""
    for index, other in enumerate(waiters):
        if other.proposal.id == waiter.proposal.id:
            del waiters[index]
            return True
    return False


def replace(waiters: list[Waiter], waiter: Waiter) -> None:
    """Put a waiter in the place of the one with its proposal in a list, if that is there."""
    for index, other in enumerate(waiters):
        if other.proposal.id == waiter.proposal.id:
            waiters[index] = waiter
            return


def _position(waiter: Waiter) -> int:
    return waiter.position
