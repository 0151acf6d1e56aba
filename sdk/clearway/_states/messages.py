"""Converts states between the protocol's messages and Python objects."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias

from clearway._base.texts import encodable
from clearway._base.timestamps import (
    duration_from_proto,
    duration_to_proto,
    timestamp_from_proto,
    timestamp_to_proto,
)
from clearway._states.record import NO_DETAILS, StateDetails, StateRecord, StateType
from clearway.results import StoredResult
from clearway.v1 import state_pb2

Fields: TypeAlias = tuple[StateType, str, str, Any, datetime, str, StateDetails]
"""The fields of a state, in the order of ``StateRecord``."""

_TYPES: dict[int, StateType] = {int(kind): kind for kind in StateType}


def state_type(number: int) -> StateType:
    """Return the type of a state that the service returned.

    Raises:
        ValueError: This version of the package does not know the type.
    """
    try:
        return _TYPES[number]
    except KeyError:
        raise ValueError(
            f"the service returned a state of type {number}, which this version of clearway does not know; "
            "update the clearway package"
        ) from None


def proposed_state(state: StateRecord, data: state_pb2.Data | None = None) -> state_pb2.ProposedState:
    """Return the message that proposes a state; see ``State.to_proto``."""
    kind = state.type
    message = state_pb2.ProposedState(
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
            message.scheduled_time.CopyFrom(timestamp_to_proto(details.scheduled_time))
        if details.cache_key:
            message.cache_key = details.cache_key
            if details.cache_expiration is not None:
                message.cache_expiration.CopyFrom(duration_to_proto(details.cache_expiration))
    return message


def fields_with_result(message: state_pb2.State, data: Any = None) -> Fields:
    """Return the fields of the state that a message holds; see ``State.from_proto``."""
    if data is None and message.HasField("data"):
        data = StoredResult.from_proto(message.data)
    return fields_from_proto(message, data)


def fields_from_proto(message: state_pb2.State, data: Any) -> Fields:
    """Return the fields of the state that a message holds, with ``data`` as its data, even if None."""
    return (
        state_type(message.type),
        message.name,
        message.message,
        data,
        timestamp_from_proto(message.create_time),
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
