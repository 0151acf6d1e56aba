"""States: recorded ones, and proposed ones."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class StateType(IntEnum):
    """The type of a state, by which rules decide; numbered as the protocol's ``StateType``."""

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
    """A state that a client proposes for a run.

    Attributes:
        type: The type, by which rules decide.
        name: The display name; empty for the default.
        message: A human-readable explanation.
        data: The result or its reference, as the client encoded it; opaque to the service.
        scheduled_time: When a Scheduled run may start, in microseconds since 1970.
        cache_key: Looked up when Running is proposed, written when Completed is; empty for none.
        cache_expiration: The TTL of the cache entry, in microseconds; None for no expiry.
        refresh_cache: Whether a run that enters Running ignores the cache.
        no_retry: Whether a Failed run is not retried.
        single_flight: Whether the run waits if another run is computing the cache key.
        due: When a delay set by the service ends, in microseconds of the steady clock; None if
            ``scheduled_time`` is a calendar time.
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
    """One entry of a run's history. Its id is that of the proposal that produced it."""

    id: str
    type: int
    name: str
    timestamp: int
    message: str
    data: bytes | None
    scheduled_time: int | None
    cache_key: str
    cache_expiration: int | None
