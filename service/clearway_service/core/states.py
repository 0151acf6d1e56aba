"""States: what a run is in, and what it proposes to be in."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class StateType(IntEnum):
    """What the rules reason about; the numbers are those of the protocol's ``StateType``."""

    SCHEDULED = 1
    PENDING = 2
    RUNNING = 3
    COMPLETED = 4
    FAILED = 5
    CANCELLED = 6
    CRASHED = 7


TERMINAL = frozenset({StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED, StateType.CRASHED})

DEFAULT_NAMES = {type_: type_.name.capitalize() for type_ in StateType}

RETRYING = "Retrying"
RERUNNING = "Rerunning"
CACHED = "Cached"
AWAITING_RETRY = "AwaitingRetry"


class ProposedState(NamedTuple):
    """A state that is not yet anyone's.

    Attributes:
        type: What the rules reason about.
        name: For people; empty means the name that the rules give.
        message: Why, for people.
        data: The result or its reference, as the client encoded it; never looked into.
        scheduled_time: When a Scheduled run may begin, in microseconds since 1970.
        cache_key: Looked up when Running is proposed, written when Completed is; empty for none.
        cache_expiration: How long the entry is served, in microseconds; None for ever.
        refresh_cache: Whether a Running run is not served from the cache.
        no_retry: Whether a Failed run is not tried again.
        single_flight: Whether it waits for a run that is computing the cache key.
        due: For a delay that the service itself gave, when it is over, in microseconds of the steady clock;
            None where ``scheduled_time`` is a time of the calendar.
    """

    type: int
    name: str = ""
    message: str = ""
    data: bytes | None = None
    scheduled_time: int | None = None
    cache_key: str = ""
    cache_expiration: int | None = None
    refresh_cache: bool = False
    no_retry: bool = False
    single_flight: bool = False
    due: int | None = None


class State(NamedTuple):
    """One entry of a run's history. Its id is that of the proposal that made it."""

    id: str
    type: int
    name: str
    timestamp: int
    message: str
    data: bytes | None
    scheduled_time: int | None
    cache_key: str
    cache_expiration: int | None
