"""Agreement: what the fields of a state have to agree on, so that honest messages are taken."""

from __future__ import annotations

from clearway.v1.state_pb2 import (
    STATE_TYPE_FAILED,
    STATE_TYPE_RUNNING,
    STATE_TYPE_SCHEDULED,
    State,
)


def make_agree(state: State, now: tuple[int, int]) -> None:
    """Change a state's fields so that they do not contradict each other.

    Args:
        state: Is changed.
        now: Seconds since 1970 and nanoseconds, for a state that needs a time.
    """
    details = state.details
    if state.type != STATE_TYPE_SCHEDULED:
        details.ClearField("scheduled_time")
    elif not details.HasField("scheduled_time"):
        details.scheduled_time.seconds, details.scheduled_time.nanos = now
    if not details.cache_key or not details.cache_expiration.ToNanoseconds():
        details.ClearField("cache_expiration")
    if not details.cache_key or state.type != STATE_TYPE_RUNNING:
        details.refresh_cache = details.cache_single_flight = False
    if state.type != STATE_TYPE_FAILED:
        details.no_retry = False
    if state.data.WhichOneof("body") is None or not state.data.encoding:
        state.ClearField("data")
