"""Changes: what a batch of decisions writes to the store, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from clearway_service.core.decisions import Abort
from clearway_service.core.proposals import Waiter
from clearway_service.core.resources import Resource
from clearway_service.core.runs import RunKind
from clearway_service.core.snapshot import RunEntry
from clearway_service.core.states import State


class AnswerKind(IntEnum):
    """The decision on the proposal that produced a state, stored so that a retry gets the same one."""

    NONE = 0
    ACCEPT = 1
    REJECT = 2


class NewState(NamedTuple):
    """A state to append to a run's history."""

    kind: RunKind
    run_id: str
    ordinal: int
    state: State
    answer: AnswerKind
    answer_message: str


class RecordedAbort(NamedTuple):
    """An abort to store, so that a retry of the proposal gets the same decision."""

    proposal_id: str
    kind: RunKind
    run_id: str
    abort: Abort
    state: State


class CacheWrite(NamedTuple):
    """A cache entry to write for a state's key, served until ``expires`` (None: no expiry)."""

    key: str
    state_id: str
    task_run_id: str
    created: int
    expires: int | None


@dataclass(slots=True)
class Changes:
    """What a batch of decisions does to the store.

    Attributes:
        runs: The runs to insert or to update.
        states: Appended to histories, in order.
        slots_taken: Pairs of resource and task run id, as an ordered set.
        slots_freed: The same, of those that were held before the batch.
        waiters_added: In the order of their places; their positions are the store's to give.
        waiters_removed: Proposal ids.
        waiters_moved: The resources in whose queues waiters now are, by proposal id.
        waiters_passed: How often waiters were passed over, by proposal id.
        elders_tracked: All limited tags of waiters who need slots of several, by proposal id.
        waiters_reattached: Proposals that came again, by id, as they wait now.
        cache: Entries to write.
        cache_hits: How many runs an entry was served to, by key; of one that is written too, since then.
        aborts: Decisions that made no state.
        deliveries: Answers for other engines, as pairs of owner and proposal id.
        wake_again: Resources whose queues have more waiters that may be decided.
    """

    runs: list[RunEntry] = field(default_factory=list)
    states: list[NewState] = field(default_factory=list)
    slots_taken: dict[tuple[Resource, str], None] = field(default_factory=dict)
    slots_freed: dict[tuple[Resource, str], None] = field(default_factory=dict)
    waiters_added: dict[str, Waiter] = field(default_factory=dict)
    waiters_removed: list[str] = field(default_factory=list)
    waiters_moved: dict[str, Resource] = field(default_factory=dict)
    waiters_passed: dict[str, int] = field(default_factory=dict)
    elders_tracked: dict[str, tuple[str, ...]] = field(default_factory=dict)
    waiters_reattached: dict[str, Waiter] = field(default_factory=dict)
    cache: list[CacheWrite] = field(default_factory=list)
    cache_hits: dict[str, int] = field(default_factory=dict)
    aborts: list[RecordedAbort] = field(default_factory=list)
    deliveries: list[tuple[str, str]] = field(default_factory=list)
    wake_again: set[Resource] = field(default_factory=set)

    @property
    def any_waiters(self) -> bool:
        """Whether any queue changes."""
        return bool(
            self.waiters_added
            or self.waiters_removed
            or self.waiters_moved
            or self.waiters_passed
            or self.elders_tracked
            or self.waiters_reattached
            or self.deliveries
        )
