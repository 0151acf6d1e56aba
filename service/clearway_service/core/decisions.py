"""Decisions: accept, wait, reject and abort, the four possible answers to a proposal."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from clearway_service.core.resources import Resource
from clearway_service.core.states import ProposedState, StateType


class WaitReason(IntEnum):
    """Why a run may not enter a state yet; numbered as the protocol's ``WaitReason``."""

    LIMIT = 1
    CACHE_LEADER = 2
    SCHEDULE = 3


class RejectReason(IntEnum):
    """Why a run entered another state than proposed; numbered as the protocol's ``RejectReason``."""

    CACHED = 1
    RETRY_SCHEDULED = 2


class AbortReason(IntEnum):
    """Why a proposal was aborted; numbered as the protocol's ``AbortReason``."""

    TERMINAL = 1
    HELD = 2
    LIMIT_ZERO = 3


class Accept(NamedTuple):
    """The run enters the proposed state."""


class Ancestor(NamedTuple):
    """A Running run that blocks a run on which its own code waits, directly or through other runs.

    Attributes:
        run_id: Its UUID.
        name: Its display name.
        held: The slot of a tag, or the cache key, that it holds.
    """

    run_id: str
    name: str
    held: Resource


class Wait(NamedTuple):
    """The run keeps its state, and may propose again later.

    Attributes:
        reason: The machine-readable reason.
        retry_after: Delay from now, in microseconds; None if it depends on another run's progress.
        message: The human-readable reason.
        blocking_tags: The tags whose limits have no free slot, sorted.
        ancestors: Runs that hold slots of these tags while their code waits for this run.
        cache_key: The key that another run is computing; empty if the wait is not for a cache key.
    """

    reason: WaitReason
    retry_after: int | None
    message: str
    blocking_tags: tuple[str, ...] = ()
    ancestors: tuple[Ancestor, ...] = ()
    cache_key: str = ""

    @property
    def blockers(self) -> tuple[Resource, ...]:
        """The resources whose queues the proposal may join."""
        if self.cache_key:
            return (Resource.of_key(self.cache_key),)
        return tuple(Resource.of_tag(tag) for tag in self.blocking_tags)


class Reject(NamedTuple):
    """The run enters another state than the proposed one."""

    reason: RejectReason
    state: ProposedState
    message: str


def recorded_reject(entered: StateType, message: str) -> Reject:
    """Rebuild a stored reject from the type of the state that the run entered."""
    # The reason is not stored: each of the two possible reasons leads to a state of a different type.
    reason = RejectReason.CACHED if entered == StateType.COMPLETED else RejectReason.RETRY_SCHEDULED
    return Reject(reason, ProposedState(entered), message)


class Abort(NamedTuple):
    """The run keeps its state, and its code must not continue."""

    reason: AbortReason
    message: str


Decision = Accept | Wait | Reject | Abort
