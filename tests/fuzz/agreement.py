"""Agreement: makes the fields of a state consistent, so that honest messages are accepted."""

from __future__ import annotations

from clearway.v1.state_pb2 import (
    STATE_TYPE_FAILED,
    STATE_TYPE_RUNNING,
    STATE_TYPE_SCHEDULED,
    ProposedState,
)


def make_agree(state: ProposedState, now: tuple[int, int]) -> None:
    """Change a state's fields so that they do not contradict each other.

    Args:
        state: The state, changed in place.
        now: Seconds since 1970 and nanoseconds, for states that need a time.
    """
    if state.type != STATE_TYPE_SCHEDULED:
        state.ClearField("scheduled_time")
    elif not state.HasField("scheduled_time"):
        state.scheduled_time.seconds, state.scheduled_time.nanos = now
    if not state.cache_key or not state.cache_expiration.ToNanoseconds():
        state.ClearField("cache_expiration")
    if not state.cache_key or state.type != STATE_TYPE_RUNNING:
        state.refresh_cache = state.cache_single_flight = False
    if state.type != STATE_TYPE_FAILED:
        state.no_retry = False
    if state.data.WhichOneof("body") is None or not state.data.encoding:
        state.ClearField("data")
