"""The client's operations, written once for the blocking and the async client.

An operation is a generator: it yields the calls that it needs, receives their responses and returns its
result. It does no I/O itself, and even an operation that needs several calls, such as reading all pages of a
list, reads like an ordinary function.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from google.protobuf.message import Message

from clearway._base.timestamps import timestamp_to_proto
from clearway.exceptions import InvalidArgument
from clearway.schemas import (
    CacheEntry,
    ConcurrencyLimit,
    FlowRun,
    Log,
    SlotHolder,
    SlotWaiter,
    TaskRun,
    TaskRunExplanation,
)
from clearway.states import State, StateType
from clearway.v1 import (
    cache_pb2,
    concurrency_limit_pb2,
    error_pb2,
    explanation_pb2,
    flow_run_pb2,
    log_pb2,
    state_pb2,
    task_run_pb2,
)

R = TypeVar("R")
_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Call:
    """A unary call: the name of the RPC and its request."""

    method: str
    request: Message


Operation = Generator[Call, Any, R]


def create_concurrency_limit(tag: str, concurrency_limit: int) -> Operation[str]:
    """Set how many task runs with a tag may be Running at once; replaces the tag's limit if it has one.

    Args:
        tag: The tag, 1 to 255 characters.
        concurrency_limit: The number of runs, from 0 to 1,000,000. With 0, every run that tries to start is
            aborted.

    Returns:
        The limit's UUID.

    Raises:
        TypeError: ``concurrency_limit`` is not an integer.
        InvalidArgument: The tag or the number is not allowed.
    """
    _require_int("concurrency_limit", concurrency_limit, "from 0 to 1,000,000")
    request = concurrency_limit_pb2.SetConcurrencyLimitRequest(tag=tag, limit=concurrency_limit)
    response = yield Call("SetConcurrencyLimit", request)
    limit_id: str = response.concurrency_limit.id
    return limit_id


def read_concurrency_limit_by_tag(tag: str) -> Operation[ConcurrencyLimit]:
    """Return the concurrency limit of a tag, with the holders of its slots and its queue.

    Raises:
        LimitNotFound: The tag has no limit.
    """
    request = concurrency_limit_pb2.GetConcurrencyLimitRequest(tag=tag)
    response = yield Call("GetConcurrencyLimit", request)
    return (yield from _with_all_holders(response.concurrency_limit))


def read_concurrency_limit(limit_id: str) -> Operation[ConcurrencyLimit]:
    """Return the concurrency limit with a UUID, with the holders of its slots and its queue.

    Raises:
        LimitNotFound: There is no such limit.
        InvalidArgument: ``limit_id`` is not a UUID.
    """
    request = concurrency_limit_pb2.GetConcurrencyLimitRequest(id=limit_id)
    response = yield Call("GetConcurrencyLimit", request)
    return (yield from _with_all_holders(response.concurrency_limit))


def _with_all_holders(
    message: concurrency_limit_pb2.ConcurrencyLimit,
) -> Operation[ConcurrencyLimit]:
    """Return a limit with all holders of its slots; the service's response has only the first ones."""
    if message.taken_count > len(message.holders):
        request = concurrency_limit_pb2.ListSlotHoldersRequest(tag=message.tag)
        holders = yield from pages("ListSlotHolders", request, "holders", None)
        del message.holders[:]
        message.holders.extend(holders)
    return ConcurrencyLimit.from_proto(message)


def read_slot_waiters(tag: str, limit: int | None = 200) -> Operation[list[SlotWaiter]]:
    """Return the task runs that are queued for a slot of a tag, next one first.

    Args:
        tag: The tag.
        limit: The maximum number of runs; default 200. None returns all.

    Raises:
        LimitNotFound: The tag has no limit.
    """
    request = concurrency_limit_pb2.ListSlotWaitersRequest(tag=tag)
    found = yield from pages("ListSlotWaiters", request, "waiters", limit)
    return [SlotWaiter.from_proto(message) for message in found]


def read_concurrency_limits(limit: int | None = None, offset: int = 0) -> Operation[list[ConcurrencyLimit]]:
    """Return the concurrency limits of all tags, sorted by tag.

    Args:
        limit: The maximum number of limits; None, the default, returns all.
        offset: How many limits to skip at the beginning; default 0.
    """
    wanted = None if limit is None else limit + offset
    request = concurrency_limit_pb2.ListConcurrencyLimitsRequest()
    found = yield from pages("ListConcurrencyLimits", request, "concurrency_limits", wanted)
    return [ConcurrencyLimit.from_proto(message) for message in found[offset:]]


def delete_concurrency_limit_by_tag(tag: str) -> Operation[None]:
    """Remove the concurrency limit of a tag.

    Raises:
        LimitNotFound: The tag has no limit.
    """
    yield Call("DeleteConcurrencyLimit", concurrency_limit_pb2.DeleteConcurrencyLimitRequest(tag=tag))


def reset_concurrency_limit_by_tag(tag: str) -> Operation[list[SlotHolder]]:
    """Release all slots of a tag by force and grant them to queued runs.

    The runs that held the slots continue but are no longer counted, so for a while more runs than the limit
    allows may be Running.

    Returns:
        The runs that held a slot, longest first. If there are thousands, only as many as fit in a response of
        about 2 MiB; to get all, call ``read_concurrency_limit_by_tag`` before the reset.

    Raises:
        LimitNotFound: The tag has no limit.
    """
    request = concurrency_limit_pb2.ResetConcurrencyLimitRequest(tag=tag)
    response = yield Call("ResetConcurrencyLimit", request)
    return [SlotHolder.from_proto(message) for message in response.released]


def read_flow_run(flow_run_id: str) -> Operation[FlowRun]:
    """Return a flow run.

    Raises:
        RunNotFound: There is no such run.
        InvalidArgument: ``flow_run_id`` is not a UUID.
    """
    response = yield Call("GetFlowRun", flow_run_pb2.GetFlowRunRequest(id=flow_run_id))
    return FlowRun.from_proto(response.flow_run)


def read_flow_runs(
    *,
    flow_names: Iterable[str] = (),
    name_contains: str = "",
    tags: Iterable[str] = (),
    state_types: Iterable[StateType] = (),
    state_names: Iterable[str] = (),
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    limit: int | None = 200,
) -> Operation[list[FlowRun]]:
    """Return the flow runs that match all given filters, newest first.

    Args:
        flow_names: Runs of flows with one of these names.
        name_contains: Runs whose own name contains this text, ignoring case.
        tags: Runs that have all of these tags.
        state_types: Runs whose state has one of these types.
        state_names: Runs whose state has one of these names.
        created_after: Runs created at or after this time, which must have a time zone.
        created_before: Runs created before this time, which must have a time zone.
        limit: The maximum number of runs; default 200. None returns all.

    Raises:
        InvalidArgument: The service does not allow a filter's value.
    """
    selection = flow_run_pb2.FlowRunFilter(
        flow_names=flow_names,
        name_contains=name_contains,
        tags=tags,
        state_types=_types(state_types),
        state_names=state_names,
        created_after=timestamp_to_proto(created_after) if created_after else None,
        created_before=timestamp_to_proto(created_before) if created_before else None,
    )
    request = flow_run_pb2.ListFlowRunsRequest(filter=selection)
    found = yield from pages("ListFlowRuns", request, "flow_runs", limit)
    return [FlowRun.from_proto(message) for message in found]


def read_flow_run_states(flow_run_id: str) -> Operation[list[State[Any]]]:
    """Return the states of a flow run in order, the current one last.

    Raises:
        RunNotFound: There is no such run.
    """
    request = flow_run_pb2.ListFlowRunStatesRequest(flow_run_id=flow_run_id)
    found = yield from pages("ListFlowRunStates", request, "states", None)
    return [State.from_proto(message) for message in found]


def read_task_run(task_run_id: str) -> Operation[TaskRun]:
    """Return a task run.

    Raises:
        RunNotFound: There is no such run.
        InvalidArgument: ``task_run_id`` is not a UUID.
    """
    response = yield Call("GetTaskRun", task_run_pb2.GetTaskRunRequest(id=task_run_id))
    return TaskRun.from_proto(response.task_run)


def read_task_runs(
    *,
    flow_run_id: str = "",
    task_keys: Iterable[str] = (),
    task_names: Iterable[str] = (),
    name_contains: str = "",
    tags: Iterable[str] = (),
    state_types: Iterable[StateType] = (),
    state_names: Iterable[str] = (),
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    limit: int | None = 200,
) -> Operation[list[TaskRun]]:
    """Return the task runs that match all given filters, newest first.

    Args:
        flow_run_id: Task runs of the flow run with this UUID.
        task_keys: Runs of tasks with one of these keys.
        task_names: Runs of tasks with one of these names.
        name_contains: Runs whose own name contains this text, ignoring case.
        tags: Runs that have all of these tags.
        state_types: Runs whose state has one of these types.
        state_names: Runs whose state has one of these names.
        created_after: Runs created at or after this time, which must have a time zone.
        created_before: Runs created before this time, which must have a time zone.
        limit: The maximum number of runs; default 200. None returns all.

    Raises:
        InvalidArgument: The service does not allow a filter's value.
    """
    selection = task_run_pb2.TaskRunFilter(
        flow_run_id=flow_run_id,
        task_keys=task_keys,
        task_names=task_names,
        name_contains=name_contains,
        tags=tags,
        state_types=_types(state_types),
        state_names=state_names,
        created_after=timestamp_to_proto(created_after) if created_after else None,
        created_before=timestamp_to_proto(created_before) if created_before else None,
    )
    request = task_run_pb2.ListTaskRunsRequest(filter=selection)
    found = yield from pages("ListTaskRuns", request, "task_runs", limit)
    return [TaskRun.from_proto(message) for message in found]


def read_task_run_states(task_run_id: str) -> Operation[list[State[Any]]]:
    """Return the states of a task run in order, the current one last.

    Raises:
        RunNotFound: There is no such run.
    """
    request = task_run_pb2.ListTaskRunStatesRequest(task_run_id=task_run_id)
    found = yield from pages("ListTaskRunStates", request, "states", None)
    return [State.from_proto(message) for message in found]


def explain_task_run(task_run_id: str) -> Operation[TaskRunExplanation]:
    """Return why a task run is in its current state: what it is waiting for, and which runs hold that.

    Raises:
        RunNotFound: There is no such run.
        InvalidArgument: ``task_run_id`` is not a UUID.
    """
    response = yield Call("ExplainTaskRun", explanation_pb2.ExplainTaskRunRequest(id=task_run_id))
    return TaskRunExplanation.from_proto(response)


def read_logs(
    *, flow_run_id: str = "", task_run_id: str = "", min_level: int = 0, limit: int | None = 200
) -> Operation[list[Log]]:
    """Return the log lines of runs, oldest first.

    Args:
        flow_run_id: Lines of the flow run with this UUID and of its task runs.
        task_run_id: Lines of the task run with this UUID.
        min_level: Lines of this level or above, as numbered in ``logging``; default 0.
        limit: The maximum number of lines; default 200. None returns all.

    Raises:
        InvalidArgument: An id is not a UUID, or ``min_level`` is out of range.
    """
    _require_int("min_level", min_level, "from 0 to 100")
    request = log_pb2.ListLogsRequest(flow_run_id=flow_run_id, task_run_id=task_run_id, min_level=min_level)
    found = yield from pages("ListLogs", request, "logs", limit)
    return [Log.from_proto(message) for message in found]


def lookup_cache(key: str) -> Operation[CacheEntry | None]:
    """Return the cache entry of a key, or None if there is none or it has expired."""
    response = yield Call("LookupCache", cache_pb2.LookupCacheRequest(key=key))
    return CacheEntry.from_proto(response.entry) if response.HasField("entry") else None


def pages(method: str, request: Any, field: str, limit: int | None) -> Operation[list[Any]]:
    """Return up to ``limit`` items from a list RPC, reading as many pages as necessary; None reads all."""
    if limit is not None:
        _require_int("limit", limit)
    found: list[Any] = []
    while limit is None or len(found) < limit:
        request.page_size = _PAGE if limit is None else min(_PAGE, limit - len(found))
        response = yield Call(method, request)
        found.extend(getattr(response, field))
        request.page_token = response.next_page_token
        if not request.page_token:
            break
    return found


def _types(kinds: Iterable[StateType]) -> list[state_pb2.StateType.ValueType]:
    return [state_pb2.StateType.ValueType(StateType(kind)) for kind in kinds]


def _require_int(name: str, value: object, right: str = "") -> None:
    """Raise if a value is not an integer or does not fit in a message; the service checks its range."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; it must be a whole number")
    if right and not -(2**31) <= value < 2**31:
        raise InvalidArgument(
            f"{name} is {value}; it must be {right}", error_pb2.ERROR_REASON_INVALID_ARGUMENT, name
        )
