"""Between the protocol's messages and what users see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from clearway._base.texts import encodable
from clearway.results import StoredResult
from clearway.states import NO_DETAILS, State, StateDetails, StateType
from clearway.v1 import state_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TYPES: dict[int, StateType] = {int(kind): kind for kind in StateType}


def timestamp_to_proto(at: datetime) -> Timestamp:
    """Return the message for a time, which must have a time zone."""
    micros = (at - _EPOCH) // _MICROSECOND
    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1_000)


def timestamp_from_proto(message: Timestamp) -> datetime:
    """Return the time of a message, in UTC, to the microsecond."""
    return _EPOCH + timedelta(0, message.seconds, message.nanos // 1_000)


def duration_to_proto(length: timedelta) -> Duration:
    """Return the message for a length of time."""
    micros = length // _MICROSECOND
    sign = -1 if micros < 0 else 1
    seconds, rest = divmod(abs(micros), 1_000_000)
    return Duration(seconds=sign * seconds, nanos=sign * rest * 1_000)


def duration_from_proto(message: Duration) -> timedelta:
    """Return the length of time of a message, to the microsecond."""
    return timedelta(seconds=message.seconds, microseconds=message.nanos / 1_000)


def optional_time(message: Message, field: str) -> datetime | None:
    """Return the time in a field of a message, or None where it is unset."""
    return timestamp_from_proto(getattr(message, field)) if message.HasField(field) else None


def state_type(number: int) -> StateType:
    """Return the type of a state that the service answered.

    Raises:
        ValueError: The service answered a type that this version does not know.
    """
    try:
        return _TYPES[number]
    except KeyError:
        raise ValueError(
            f"the service answered a state of type {number}, which this version of clearway does not know; "
            "update the clearway package"
        ) from None


def state_to_proto(state: State[Any], data: state_pb2.Data | None = None) -> state_pb2.State:
    """Return the message that proposes a state; see ``State.to_proto``."""
    kind = state.type
    message = state_pb2.State(
        type=state_pb2.StateType.ValueType(kind),
        name="" if state.name == kind.default_name else encodable(state.name),
        message=encodable(state.message),
    )
    if data is not None:
        message.data.CopyFrom(data)
    elif isinstance(state.data, StoredResult):
        message.data.CopyFrom(state.data.to_proto())
    details = state.details
    if details is not NO_DETAILS:
        if details.scheduled_time is not None:
            message.details.scheduled_time.CopyFrom(timestamp_to_proto(details.scheduled_time))
        if details.cache_key:
            message.details.cache_key = details.cache_key
            if details.cache_expiration is not None:
                message.details.cache_expiration.CopyFrom(duration_to_proto(details.cache_expiration))
    return message


def state_from_proto(message: state_pb2.State, data: Any = None) -> State[Any]:
    """Return the state in a message; see ``State.from_proto``."""
    if data is None and message.HasField("data"):
        data = StoredResult.from_proto(message.data)
    return ended_state(message, data)


def ended_state(message: state_pb2.State, data: Any) -> State[Any]:
    """Return the state in a message with the data that this process has, be it None."""
    return State(
        state_type(message.type),
        message.name,
        message.message,
        data,
        timestamp_from_proto(message.timestamp),
        message.id,
        _details_from_proto(message.details) if message.HasField("details") else NO_DETAILS,
    )


def _details_from_proto(message: state_pb2.StateDetails) -> StateDetails:
    return StateDetails(
        timestamp_from_proto(message.scheduled_time) if message.HasField("scheduled_time") else None,
        message.cache_key,
        duration_from_proto(message.cache_expiration) if message.HasField("cache_expiration") else None,
        message.flow_run_id,
        message.task_run_id,
        message.child_flow_run_id,
    )
