"""Filters: which runs to list."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from clearway.v1 import flow_run_pb2, state_pb2, task_run_pb2
from clearway_service import store
from clearway_service.api import validation as valid

_MAX_NAMES = 100


def parse_flow_run_filter(wanted: flow_run_pb2.FlowRunFilter) -> store.queries.RunFilter:
    """Return which flow runs are wanted."""
    return _parse(wanted, wanted.flow_names, "filter.flow_names")


def parse_task_run_filter(wanted: task_run_pb2.TaskRunFilter) -> store.queries.RunFilter:
    """Return which task runs are wanted."""
    flow_run_id = valid.optional_id("filter.flow_run_id", wanted.flow_run_id)
    return _parse(wanted, wanted.task_keys, "filter.task_keys", flow_run_id)


def _parse(
    wanted: flow_run_pb2.FlowRunFilter | task_run_pb2.TaskRunFilter,
    names: Sequence[str],
    names_field: str,
    flow_run_id: str = "",
) -> store.queries.RunFilter:
    valid.items(names_field, len(names), _MAX_NAMES)
    valid.items("filter.state_names", len(wanted.state_names), _MAX_NAMES)
    return store.queries.RunFilter(
        names=tuple(names),
        name_contains=valid.text("filter.name_contains", wanted.name_contains, valid.MAX_NAME),
        tags=valid.tags("filter.tags", wanted.tags),
        state_types=tuple({_state_type(type_): None for type_ in wanted.state_types}),
        state_names=tuple(wanted.state_names),
        created_after=_time(wanted.HasField("created_after"), "created_after", wanted.created_after),
        created_before=_time(wanted.HasField("created_before"), "created_before", wanted.created_before),
        flow_run_id=flow_run_id,
    )


def _state_type(type_: int) -> int:
    if type_ not in state_pb2.StateType.values() or not type_:
        raise valid.invalid("filter.state_types", type_, "a known state type, such as STATE_TYPE_RUNNING")
    return type_


def _time(given: bool, name: str, value: Timestamp) -> int | None:
    return valid.timestamp(f"filter.{name}", value) if given else None
