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
    """What a batch of decisions writes to the store.

    Attributes:
        runs: Runs to insert or update.
        states: States to append to the runs' histories, in order.
        slots_taken: Pairs of resource and task run id, as an ordered set.
        slots_freed: Likewise, for slots that were held before the batch.
        waiters_added: New waiters in queue order; the store assigns their positions.
        waiters_removed: Proposal ids.
        waiters_moved: The resource in whose queue a waiter now is, by proposal id.
        waiters_passed: How often a waiter has been passed over, by proposal id.
        elders_tracked: All limited tags of a waiter that needs slots of several, by proposal id.
        waiters_reattached: Waiters whose proposal was sent again, as they now wait, by proposal id.
        cache: Cache entries to write.
        cache_hits: How many runs were served from an entry, by key; if the batch also writes the entry, only
            the hits after that.
        aborts: Decisions that produced no state.
        deliveries: Answers for other engines, as pairs of owner and proposal id.
        wake_again: Resources whose queues have more waiters to decide.
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
