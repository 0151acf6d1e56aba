"""Filters: which runs to list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from google.protobuf.timestamp_pb2 import Timestamp

from clearway.v1 import flow_run_pb2, state_pb2, task_run_pb2
from clearway_service import store
from clearway_service.api import validation as valid

_MAX_NAMES = 100


def parse_flow_run_filter(wanted: flow_run_pb2.FlowRunFilter) -> store.queries.RunFilter:
    """Return which flow runs are wanted."""
    return replace(_parse(wanted), flow_names=_names("filter.flow_names", wanted.flow_names))


def parse_task_run_filter(wanted: task_run_pb2.TaskRunFilter) -> store.queries.RunFilter:
    """Return which task runs are wanted."""
    return replace(
        _parse(wanted),
        flow_run_id=valid.optional_id("filter.flow_run_id", wanted.flow_run_id),
        task_keys=_names("filter.task_keys", wanted.task_keys),
        task_names=_names("filter.task_names", wanted.task_names),
    )


def _names(field: str, names: Sequence[str]) -> tuple[str, ...]:
    valid.items(field, len(names), _MAX_NAMES)
    return tuple(names)


def _parse(wanted: flow_run_pb2.FlowRunFilter | task_run_pb2.TaskRunFilter) -> store.queries.RunFilter:
    return store.queries.RunFilter(
        name_contains=valid.text("filter.name_contains", wanted.name_contains, valid.MAX_NAME),
        tags=valid.tags("filter.tags", wanted.tags),
        state_types=tuple({_state_type(type_): None for type_ in wanted.state_types}),
        state_names=_names("filter.state_names", wanted.state_names),
        created_after=_time(wanted.HasField("created_after"), "created_after", wanted.created_after),
        created_before=_time(wanted.HasField("created_before"), "created_before", wanted.created_before),
    )


def _state_type(type_: int) -> int:
    if type_ not in state_pb2.StateType.values() or not type_:
        raise valid.invalid("filter.state_types", type_, "a known state type, such as STATE_TYPE_RUNNING")
    return type_


def _time(given: bool, name: str, value: Timestamp) -> int | None:
    return valid.timestamp(f"filter.{name}", value) if given else None
