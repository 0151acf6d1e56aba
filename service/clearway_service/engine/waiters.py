"""Waiters: proposals of this engine's clients that are queued, until their last decision is sent."""

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

# At most this many waiters are looked up in one turn.
_MAX_RECALLED = 256


class Waiters:
    """Who waits here, and what is left to do about it. Belongs to the pipeline's thread.

    The database has the queues; this is what only this engine can know, which is how to reach a client.

    Args:
        owner: The engine.

    Attributes:
        wake_again: Resources whose queues have more waiters that may be decided.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._waiting: dict[str, Submitted] = {}
        # Those that another process may have decided, or a turn whose commit is in doubt.
        self._to_look_up: dict[str, None] = {}
        self.wake_again: set[Resource] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def due(self) -> bool:
        """Whether a turn is needed for waiters, whatever else there is to do."""
        return bool(self.wake_again or self._to_look_up)

    def came_after(self, proposal_id: str, arrival: int) -> bool:
        """Return whether a proposal waits that arrived after ``arrival``."""
        entry = self._waiting.get(proposal_id)
        return entry is not None and entry.arrival > arrival

    def answered_by(self, reply: Reply) -> list[str]:
        """Return the ids of the proposals of one client."""
        return [id_ for id_, entry in self._waiting.items() if entry.reply == reply]

    def of_session(self, session_id: str) -> list[Submitted]:
        """Return those that wait under a session."""
        return [entry for entry in self._waiting.values() if entry.proposal.session_id == session_id]

    def collect(self, driver: Driver) -> None:
        """Note which proposals another process has decided, to be looked up."""
        mine = (self._owner,)
        delivered = driver.execute(statements.DELIVERIES, mine).fetchall()
        if delivered:
            driver.execute(statements.DELETE_DELIVERIES, mine)
            self._to_look_up.update({id_: None for (id_,) in delivered})

    def doubt(self) -> None:
        """Have all of them looked up: a commit reported an error and may be durable all the same."""
        self._to_look_up.update(dict.fromkeys(self._waiting))

    def recall(self) -> list[Submitted]:
        """Return the next ones to be looked up."""
        if not self._to_look_up:
            return []
        self._to_look_up = {id_: None for id_ in self._to_look_up if id_ in self._waiting}
        return [self._waiting[id_] for id_ in islice(self._to_look_up, _MAX_RECALLED)]

    def looked_up(self, entries: Iterable[Submitted]) -> None:
        """Note that recalled ones were looked up."""
        for entry in entries:
            self._to_look_up.pop(entry.proposal.id, None)

    def note(self, entry: Submitted, outcome: Outcome) -> None:
        """Note what became of a proposal that was decided, once that is committed."""
        if isinstance(outcome, Answer) and outcome.queued:
            self._waiting[entry.proposal.id] = _waits(entry, outcome)
        elif self._waiting and is_over(outcome):
            self._waiting.pop(entry.proposal.id, None)

    def take(self, proposal_id: str) -> Submitted | None:
        """Return the one with a proposal's id, which waits no longer; None for none."""
        return self._waiting.pop(proposal_id, None)

    def take_all(self) -> list[Submitted]:
        """Return all, which wait no longer."""
        taken = list(self._waiting.values())
        self._waiting.clear()
        return taken

    def forget_due(self) -> None:
        """Give up what a turn was needed for."""
        self.wake_again = set()
        self._to_look_up = {}


def _waits(entry: Submitted, answer: Answer) -> Submitted:
    """Return a proposal as it is kept while it waits: without what its client chose the size of.

    That is in the database, and its end is looked up there. For clients in this process all is kept: theirs
    may wait again under another session.
    """
    if entry.caller is None:
        return entry
    state = ProposedState(entry.proposal.state.type)
    kept = entry.proposal._replace(run_id=answer.run.id, state=state, create=None)
    return entry._replace(proposal=kept, size=0, looked_up=True)
