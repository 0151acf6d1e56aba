"""Transaction: what the commands of one turn of the pipeline may use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from clearway_service.core.decisions import Ancestor
from clearway_service.core.moment import Moment
from clearway_service.core.resources import Resource
from clearway_service.core.turn import EndedRuns

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from clearway_service.store.database import Database
    from clearway_service.store.sqlite import Driver


class Entangled(NamedTuple):
    """A run that waits for a slot of a full tag, and its ancestor that holds one."""

    run_id: str
    run_name: str
    ancestor: Ancestor


@dataclass(slots=True)
class Transaction:
    """One turn's transaction, and what its commands request of the batch that follows them.

    Attributes:
        database: The database, in one of its turns.
        moment: The time, on both of the service's clocks.
        new_id: Makes time-ordered UUIDs.
        woken: Resources whose limits were changed, so that their waiters are decided again.
        woken_runs: Task runs whose waiting proposals are decided again.
        ended_runs: Runs that lose their session, each with the message of its Crashed state.
        entangled: Runs that were found to wait for slots that their own ancestors hold.
        left_queue: Proposals that were removed from the queue without a decision.
    """

    database: Database
    moment: Moment
    new_id: Callable[[], str]
    woken: set[Resource] = field(default_factory=set)
    woken_runs: set[str] = field(default_factory=set)
    ended_runs: EndedRuns = field(default_factory=dict)
    entangled: list[Entangled] = field(default_factory=list)
    left_queue: set[str] = field(default_factory=set)

    @property
    def now(self) -> int:
        """The wall clock, in microseconds since 1970."""
        return self.moment.now

    @property
    def steady(self) -> int:
        """The steady clock, in microseconds."""
        return self.moment.steady

    @property
    def driver(self) -> Driver:
        """The driver's connection, for ``statements``."""
        return self.database.driver

    @property
    def connection(self) -> Connection:
        """The same connection for SQLAlchemy Core, which is imported at the first use."""
        return self.database.writer
