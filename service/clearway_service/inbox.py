"""The inbox: proposals that wait for their turn, and whom to answer."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from clearway_service.core.proposals import Outcome, Proposal
from clearway_service.core.states import TERMINAL
from clearway_service.errors import ClearwayError


class Failure(NamedTuple):
    """A proposal that met an error before it could be decided about; nothing was changed."""

    proposal_id: str
    error: ClearwayError


Result = Outcome | Failure
Reply = Callable[[list[Result]], None]


class Submitted(NamedTuple):
    """A proposal and whom to answer."""

    proposal: Proposal
    reply: Reply


class Inbox:
    """Proposals in the order in which they came, but that ends of runs need not wait for others' beginnings.

    A client's own proposals stay in their order. An end may free what others wait for, and it never joins a
    queue, so nobody loses a place to it.
    """

    def __init__(self) -> None:
        self._ends: deque[Submitted] = deque()
        self._others: deque[Submitted] = deque()
        self._behind: Counter[Reply] = Counter()  # how many of a client's proposals are among the others

    def __len__(self) -> int:
        return len(self._ends) + len(self._others)

    def add(self, proposals: Sequence[Proposal], reply: Reply) -> None:
        """Add proposals of one client."""
        submitted = [Submitted(proposal, reply) for proposal in proposals]
        if reply not in self._behind and all(proposal.state.type in TERMINAL for proposal in proposals):
            self._ends.extend(submitted)
            return
        self._others.extend(submitted)
        self._behind[reply] += len(submitted)

    def take(self, most: int) -> list[Submitted]:
        """Take those who are next, at most so many; a quarter is for those who came first."""
        kept = min(len(self._others), most // 4)
        taken = [self._ends.popleft() for _ in range(min(most - kept, len(self._ends)))]
        others = [self._others.popleft() for _ in range(min(most - len(taken), len(self._others)))]
        for entry in others:
            self._behind[entry.reply] -= 1
            if not self._behind[entry.reply]:
                del self._behind[entry.reply]
        return taken + others

    def disown(self, proposal_ids: Collection[str]) -> None:
        """Note that nobody wants some of them any more: they are decided in their turn, but take no slot."""
        if any(entry.proposal.id in proposal_ids for entry in self._others):
            self._others = deque(
                entry._replace(proposal=entry.proposal._replace(queues=False, keeps=0, unwanted=True))
                if entry.proposal.id in proposal_ids
                else entry
                for entry in self._others
            )
