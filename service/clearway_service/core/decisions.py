"""Decisions: the four answers to a proposal, and nothing else."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from clearway_service.core.resources import Resource
from clearway_service.core.states import ProposedState, StateType


class WaitReason(IntEnum):
    """Why a run may not enter a state yet; the numbers are those of the protocol's ``WaitReason``."""

    LIMIT = 1
    CACHE_LEADER = 2
    SCHEDULE = 3


class RejectReason(IntEnum):
    """Why a run has another state than the proposed one; numbered as the protocol's ``RejectReason``."""

    CACHED = 1
    RETRY_SCHEDULED = 2


class AbortReason(IntEnum):
    """Why a proposal was aborted; the numbers are those of the protocol's ``AbortReason``."""

    TERMINAL = 1
    HELD = 2
    LIMIT_ZERO = 3


class Accept(NamedTuple):
    """The run enters the proposed state."""


class Ancestor(NamedTuple):
    """A Running run that holds up a run for which its own code waits, itself or through others.

    Attributes:
        run_id: Its UUID.
        name: Its name, for people.
        held: What it holds: a slot of a tag, or a cache key.
    """

    run_id: str
    name: str
    held: Resource


class Wait(NamedTuple):
    """The run keeps its state, and may propose again later.

    Attributes:
        reason: Why, for programs.
        retry_after: From now, in microseconds; None where only another run's doing helps.
        message: What is waited for, for people.
        blocking_tags: The tags whose limits have no free slot; sorted.
        ancestors: Those who hold slots of these tags, and whose code waits for this run.
        cache_key: The key that another run is computing; empty where that is not waited for.
    """

    reason: WaitReason
    retry_after: int | None
    message: str
    blocking_tags: tuple[str, ...] = ()
    ancestors: tuple[Ancestor, ...] = ()
    cache_key: str = ""

    @property
    def blockers(self) -> tuple[Resource, ...]:
        """The resources in whose queues the proposal may wait."""
        if self.cache_key:
            return (Resource.of_key(self.cache_key),)
        return tuple(Resource.of_tag(tag) for tag in self.blocking_tags)


class Reject(NamedTuple):
    """The run enters another state than the proposed one."""

    reason: RejectReason
    state: ProposedState
    message: str


def recorded_reject(entered: StateType, message: str) -> Reject:
    """Return a reject that was decided before, from the type of the state that the run entered."""
    # The two states that a rejected run can enter are of different types, so the reason is not stored.
    reason = RejectReason.CACHED if entered == StateType.COMPLETED else RejectReason.RETRY_SCHEDULED
    return Reject(reason, ProposedState(entered), message)


class Abort(NamedTuple):
    """The run keeps its state, and its code must not go on."""

    reason: AbortReason
    message: str


Decision = Accept | Wait | Reject | Abort
