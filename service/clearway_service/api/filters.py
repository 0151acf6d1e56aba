"""Filters: converts run filters from the protocol to the store."""

from __future__ import annotations

from dataclasses import replace

from clearway.v1 import flow_run_pb2, task_run_pb2
from clearway_service import store
from clearway_service.api.parsing import microseconds, parse_tags, uuid_of


def parse_flow_run_filter(wanted: flow_run_pb2.FlowRunFilter) -> store.queries.RunFilter:
    """Convert a flow run filter."""
    return replace(_parse(wanted), flow_names=tuple(wanted.flow_names))


def parse_task_run_filter(wanted: task_run_pb2.TaskRunFilter) -> store.queries.RunFilter:
    """Convert a task run filter."""
    return replace(
        _parse(wanted),
        flow_run_id=uuid_of(wanted.flow_run_id),
        task_keys=tuple(wanted.task_keys),
        task_names=tuple(wanted.task_names),
    )


def _parse(wanted: flow_run_pb2.FlowRunFilter | task_run_pb2.TaskRunFilter) -> store.queries.RunFilter:
    return store.queries.RunFilter(
        name_contains=wanted.name_contains,
        tags=parse_tags(wanted.tags),
        state_types=tuple(dict.fromkeys(wanted.state_types)),
        state_names=tuple(wanted.state_names),
        created_after=microseconds(wanted.created_after) if wanted.HasField("created_after") else None,
        created_before=microseconds(wanted.created_before) if wanted.HasField("created_before") else None,
    )
