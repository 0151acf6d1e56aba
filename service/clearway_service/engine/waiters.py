"""Waiters: queued proposals of this engine's clients, kept until their final decision is sent."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from clearway_service.core.proposals import Answer, Outcome
from clearway_service.core.resources import Resource
from clearway_service.core.states import ProposedState
from clearway_service.core.turn import is_over
from clearway_service.engine.submitted import Reply, Submitted
from clearway_service.store import rendered_statements as statements
from clearway_service.store.sqlite import Driver

# How many waiters are looked up in one turn, at most.
_MAX_RECALLED = 256


class Waiters:
    """The waiting proposals of this engine's clients. Belongs to the pipeline's thread.

    The queues themselves are in the database; only this engine knows how to reach the clients.

    Args:
        owner: The engine.

    Attributes:
        wake_again: Resources whose queues have more waiters to decide.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._waiting: dict[str, Submitted] = {}
        # Waiters possibly decided by another process, or by a turn whose commit is in doubt.
        self._to_look_up: dict[str, None] = {}
        self.wake_again: set[Resource] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def due(self) -> bool:
        """Whether waiters need a turn, even without other work."""
        return bool(self.wake_again or self._to_look_up)

    def came_after(self, proposal_id: str, arrival: int) -> bool:
        """Return True if the proposal waits and arrived after ``arrival``."""
        entry = self._waiting.get(proposal_id)
        return entry is not None and entry.arrival > arrival

    def answered_by(self, reply: Reply) -> list[str]:
        """Return the ids of one client's waiting proposals."""
        return [id_ for id_, entry in self._waiting.items() if entry.reply == reply]

    def of_session(self, session_id: str) -> list[Submitted]:
        """Return the proposals that wait under a session."""
        return [entry for entry in self._waiting.values() if entry.proposal.session_id == session_id]

    def collect(self, driver: Driver) -> None:
        """Queue proposals that another process has decided to be looked up."""
        mine = (self._owner,)
        delivered = driver.execute(statements.DELIVERIES, mine).fetchall()
        if delivered:
            driver.execute(statements.DELETE_DELIVERIES, mine)
            self._to_look_up.update({id_: None for (id_,) in delivered})

    def doubt(self) -> None:
        """Queue all waiters to be looked up: a commit that reported an error may be durable nevertheless."""
        self._to_look_up.update(dict.fromkeys(self._waiting))

    def recall(self) -> list[Submitted]:
        """Return the next waiters to look up."""
        if not self._to_look_up:
            return []
        self._to_look_up = {id_: None for id_ in self._to_look_up if id_ in self._waiting}
        return [self._waiting[id_] for id_ in islice(self._to_look_up, _MAX_RECALLED)]

    def looked_up(self, entries: Iterable[Submitted]) -> None:
        """Record that recalled waiters were looked up."""
        for entry in entries:
            self._to_look_up.pop(entry.proposal.id, None)

    def note(self, entry: Submitted, outcome: Outcome) -> None:
        """Record the outcome of a decided proposal, once it is committed."""
        if isinstance(outcome, Answer) and outcome.queued:
            self._waiting[entry.proposal.id] = _waits(entry, outcome)
        elif self._waiting and is_over(outcome):
            self._waiting.pop(entry.proposal.id, None)

    def take(self, proposal_id: str) -> Submitted | None:
        """Remove and return the waiter with a proposal's id, or None."""
        return self._waiting.pop(proposal_id, None)

    def take_all(self) -> list[Submitted]:
        """Remove and return all waiters."""
        taken = list(self._waiting.values())
        self._waiting.clear()
        return taken

    def forget_due(self) -> None:
        """Drop all work that waiters need a turn for."""
        self.wake_again = set()
        self._to_look_up = {}


def _waits(entry: Submitted, answer: Answer) -> Submitted:
    """Return a proposal as it is kept while it waits: without its client-supplied data.

    The data is in the database, where the final decision is looked up. Proposals of clients in this process
    are kept whole, since they may be submitted again under another session.
    """
    if entry.caller is None:
        return entry
    state = ProposedState(entry.proposal.state.type)
    kept = entry.proposal._replace(run_id=answer.run.id, state=state, create=None)
    return entry._replace(proposal=kept, size=0, looked_up=True)
