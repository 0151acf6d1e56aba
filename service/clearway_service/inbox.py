"""The inbox: proposals that wait for their turn, and whom to answer."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from clearway_service.core.proposals import Outcome, Proposal
from clearway_service.core.states import StateType
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

    # Its user sees to it that one thread at a time uses it.

    def __init__(self) -> None:
        self._ahead: deque[Submitted] = deque()
        self._others: deque[Submitted] = deque()
        self._behind: Counter[Reply] = Counter()  # how many of a client's proposals are among the others

    def __len__(self) -> int:
        return len(self._ahead) + len(self._others)

    def add(self, proposals: Sequence[Proposal], reply: Reply) -> None:
        """Add proposals of one client."""
        submitted = [Submitted(proposal, reply) for proposal in proposals]
        if reply not in self._behind and all(_ends(proposal) for proposal in proposals):
            self._ahead.extend(submitted)
            return
        self._others.extend(submitted)
        self._behind[reply] += len(submitted)

    def take(self, most: int) -> list[Submitted]:
        """Take those who are next, at most so many."""
        taken = [self._ahead.popleft() for _ in range(min(most, len(self._ahead)))]
        others = [self._others.popleft() for _ in range(min(most - len(taken), len(self._others)))]
        self._leave(others)
        return taken + others

    def hasten(self, proposal_ids: Collection[str]) -> None:
        """Let some of them be answered next, and at once: they do not wait for a slot."""
        hastened = [entry for entry in self._others if entry.proposal.id in proposal_ids]
        if hastened:
            self._others = deque(entry for entry in self._others if entry.proposal.id not in proposal_ids)
            self._leave(hastened)
            for entry in hastened:
                proposal = entry.proposal._replace(queues=False, keeps=0)
                self._ahead.append(Submitted(proposal, entry.reply))

    def _leave(self, entries: list[Submitted]) -> None:
        for entry in entries:
            self._behind[entry.reply] -= 1
            if not self._behind[entry.reply]:
                del self._behind[entry.reply]


def _ends(proposal: Proposal) -> bool:
    return proposal.create is None and proposal.state.type != StateType.RUNNING
