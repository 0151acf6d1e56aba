"""QueueHead: the first waiters of a queue, as far as loaded, and what is known about the rest."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from clearway_service.core.proposals import Waiter

# Positions before and after those of all waiters.
_NOTHING: Final = -1
_END: Final = 2**63


@dataclass(slots=True)
class QueueHead:
    """The waiters of a queue up to a position, earliest first; by default an empty queue, fully known.

    Attributes:
        waiters: All waiters with positions up to and including ``known_to``.
        known_to: The position up to which the queue was loaded.
        length: How many waiters the whole queue has, if a proposal of the batch may join it.
    """

    waiters: list[Waiter] = field(default_factory=list)
    known_to: int = _END
    length: int = 0

    @classmethod
    def unknown(cls) -> QueueHead:
        """Return the head of a queue that was not loaded."""
        return cls(known_to=_NOTHING)

    @classmethod
    def of(cls, waiters: Sequence[Waiter], depth: int) -> QueueHead:
        """Return a head of the first ``depth`` waiters.

        Args:
            waiters: The first ``depth + 1`` waiters of the queue, or all if there are fewer.
            depth: How many the head has at most.
        """
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
        """The earliest loaded waiter, or None."""
        return self.waiters[0] if self.waiters else None

    @property
    def last(self) -> Waiter | None:
        """The last loaded waiter, or None."""
        return self.waiters[-1] if self.waiters else None

    @property
    def whole(self) -> bool:
        """Whether all waiters of the queue are loaded."""
        return self.known_to == _END

    def hides_one_before(self, position: int) -> bool:
        """Return True if the earliest waiter was not loaded and comes before ``position``.

        This happens when all loaded waiters have left. A queue that was not loaded at all belongs to a
        resource with nothing free, so it hides no waiter that could be granted a slot.
        """
        return not self.waiters and _NOTHING < self.known_to < position

    def first_unseen(self, seen: set[str]) -> Waiter | None:
        """Return the earliest waiter whose proposal id is not in ``seen``, or None."""
        return next((waiter for waiter in self.waiters if waiter.proposal.id not in seen), None)

    def put_in(self, waiter: Waiter) -> None:
        """Insert a waiter at its position, unless that is beyond ``known_to``."""
        if waiter.position <= self.known_to:
            insort(self.waiters, waiter, key=_position)

    def take_out(self, waiter: Waiter) -> bool:
        """Remove a waiter; return whether it was present."""
        return take_out(self.waiters, waiter)

    def replace(self, waiter: Waiter) -> None:
        """Replace the waiter that has the same proposal, if present."""
        replace(self.waiters, waiter)


def take_out(waiters: list[Waiter], waiter: Waiter) -> bool:
    """Remove the waiter with the same proposal from a list; return whether it was present."""
    for index, other in enumerate(waiters):
        if other.proposal.id == waiter.proposal.id:
            del waiters[index]
            return True
    return False


def replace(waiters: list[Waiter], waiter: Waiter) -> None:
    """Replace the waiter with the same proposal in a list, if present."""
    for index, other in enumerate(waiters):
        if other.proposal.id == waiter.proposal.id:
            waiters[index] = waiter
            return


def _position(waiter: Waiter) -> int:
    return waiter.position
