"""What a client can ask of the service: each operation once, whether it is then awaited or waited for.

An operation is a generator: it yields the calls that it needs, is sent their responses, and returns its
result. So it does no I/O, and one that needs several calls, such as all pages of a list, reads like any
other function.
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
    """One unary call: the name of the RPC and its request."""

    method: str
    request: Message


Operation = Generator[Call, Any, R]


def create_concurrency_limit(tag: str, concurrency_limit: int) -> Operation[str]:
    """Set how many task runs with a tag may be Running at once, whether the tag had a limit or not.

    Args:
        tag: 1 to 255 characters.
        concurrency_limit: From 0, which aborts all that would run, to 1,000,000.

    Returns:
        The limit's UUID.

    Raises:
        InvalidArgument: The tag or the number is not allowed.
    """
    _require_int("concurrency_limit", concurrency_limit, "from 0 to 1,000,000")
    request = concurrency_limit_pb2.SetConcurrencyLimitRequest(tag=tag, limit=concurrency_limit)
    response = yield Call("SetConcurrencyLimit", request)
    limit_id: str = response.concurrency_limit.id
    return limit_id


def read_concurrency_limit_by_tag(tag: str) -> Operation[ConcurrencyLimit]:
    """Return the limit of a tag, with who holds its slots and who waits for one.

    Raises:
        LimitNotFound: The tag has no limit.
    """
    request = concurrency_limit_pb2.GetConcurrencyLimitRequest(tag=tag)
    response = yield Call("GetConcurrencyLimit", request)
    return (yield from _with_all_holders(response.concurrency_limit))


def read_concurrency_limit(limit_id: str) -> Operation[ConcurrencyLimit]:
    """Return the limit with a UUID, with who holds its slots and who waits for one.

    Raises:
        LimitNotFound: There is no such limit.
        InvalidArgument: The id is no UUID.
    """
    request = concurrency_limit_pb2.GetConcurrencyLimitRequest(id=limit_id)
    response = yield Call("GetConcurrencyLimit", request)
    return (yield from _with_all_holders(response.concurrency_limit))


def _with_all_holders(
    message: concurrency_limit_pb2.ConcurrencyLimit,
) -> Operation[ConcurrencyLimit]:
    """Return a limit with all holders of its slots; the service's response has only the first."""
    if message.taken_count > len(message.holders):
        request = concurrency_limit_pb2.ListSlotHoldersRequest(tag=message.tag)
        holders = yield from pages("ListSlotHolders", request, "holders", None)
        del message.holders[:]
        message.holders.extend(holders)
    return ConcurrencyLimit.from_proto(message)


def read_slot_waiters(tag: str, limit: int | None = 200) -> Operation[list[SlotWaiter]]:
    """Return who waits for a slot of a tag, the next one first.

    Args:
        tag: The tag.
        limit: How many at most; None for all.

    Raises:
        LimitNotFound: The tag has no limit.
    """
    request = concurrency_limit_pb2.ListSlotWaitersRequest(tag=tag)
    found = yield from pages("ListSlotWaiters", request, "waiters", limit)
    return [SlotWaiter.from_proto(message) for message in found]


def read_concurrency_limits(limit: int | None = None, offset: int = 0) -> Operation[list[ConcurrencyLimit]]:
    """Return the limits of all tags, sorted by tag.

    Args:
        limit: How many at most; None for all.
        offset: How many to leave out at the beginning.
    """
    wanted = None if limit is None else limit + offset
    request = concurrency_limit_pb2.ListConcurrencyLimitsRequest()
    found = yield from pages("ListConcurrencyLimits", request, "concurrency_limits", wanted)
    return [ConcurrencyLimit.from_proto(message) for message in found[offset:]]


def delete_concurrency_limit_by_tag(tag: str) -> Operation[None]:
    """Remove the limit of a tag: it is unlimited from then on.

    Raises:
        LimitNotFound: The tag has no limit.
    """
    yield Call("DeleteConcurrencyLimit", concurrency_limit_pb2.DeleteConcurrencyLimitRequest(tag=tag))


def reset_concurrency_limit_by_tag(tag: str) -> Operation[list[SlotHolder]]:
    """Take back all slots of a tag by force, and let those who wait for them go.

    The runs that held them go on, and are no longer counted; so for a while more may run than the limit says.

    Returns:
        Who held a slot, the longest first. Where they are thousands, those that fit a response of about
        2 MiB; ``read_concurrency_limit_by_tag`` has all, before the reset.

    Raises:
        LimitNotFound: The tag has no limit.
    """
    request = concurrency_limit_pb2.ResetConcurrencyLimitRequest(tag=tag)
    response = yield Call("ResetConcurrencyLimit", request)
    return [SlotHolder.from_proto(message) for message in response.released]


def read_flow_run(flow_run_id: str) -> Operation[FlowRun]:
    """Return one flow run.

    Raises:
        RunNotFound: There is no such run.
        InvalidArgument: The id is no UUID.
    """
    response = yield Call("GetFlowRun", flow_run_pb2.GetFlowRunRequest(id=flow_run_id))
    return FlowRun.from_proto(response.flow_run)


def read_flow_runs(  # noqa: D417 - the filters are described together
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
    """Return flow runs, the newest first. All that is given must hold; of ``tags``, all.

    Args:
        limit: How many at most; None for all.
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
    """Return all states that a flow run was in, the present one last.

    Raises:
        RunNotFound: There is no such run.
    """
    request = flow_run_pb2.ListFlowRunStatesRequest(flow_run_id=flow_run_id)
    found = yield from pages("ListFlowRunStates", request, "states", None)
    return [State.from_proto(message) for message in found]


def read_task_run(task_run_id: str) -> Operation[TaskRun]:
    """Return one task run.

    Raises:
        RunNotFound: There is no such run.
        InvalidArgument: The id is no UUID.
    """
    response = yield Call("GetTaskRun", task_run_pb2.GetTaskRunRequest(id=task_run_id))
    return TaskRun.from_proto(response.task_run)


def read_task_runs(  # noqa: D417 - the filters are described together
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
    """Return task runs, newest first: those that match every filter that is given.

    ``task_names`` are names of tasks, ``name_contains`` is a part of the run's own name. A run must have one
    of the ``task_names``, and all of the ``tags``.

    Args:
        limit: How many at most; None for all.
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
    """Return all states that a task run was in, the present one last.

    Raises:
        RunNotFound: There is no such run.
    """
    request = task_run_pb2.ListTaskRunStatesRequest(task_run_id=task_run_id)
    found = yield from pages("ListTaskRunStates", request, "states", None)
    return [State.from_proto(message) for message in found]


def explain_task_run(task_run_id: str) -> Operation[TaskRunExplanation]:
    """Return why a task run is where it is: what it waits for, and who holds that.

    Raises:
        RunNotFound: There is no such run.
        InvalidArgument: The id is no UUID.
    """
    response = yield Call("ExplainTaskRun", explanation_pb2.ExplainTaskRunRequest(id=task_run_id))
    return TaskRunExplanation.from_proto(response)


def read_logs(
    *, flow_run_id: str = "", task_run_id: str = "", min_level: int = 0, limit: int | None = 200
) -> Operation[list[Log]]:
    """Return what runs logged, the oldest line first.

    Args:
        flow_run_id: Of this flow run and its task runs.
        task_run_id: Of this task run.
        min_level: Of this level or above, as in ``logging``.
        limit: How many at most; None for all.
    """
    _require_int("min_level", min_level, "from 0 to 100")
    request = log_pb2.ListLogsRequest(flow_run_id=flow_run_id, task_run_id=task_run_id, min_level=min_level)
    found = yield from pages("ListLogs", request, "logs", limit)
    return [Log.from_proto(message) for message in found]


def lookup_cache(key: str) -> Operation[CacheEntry | None]:
    """Return the live cache entry of a key, or None."""
    response = yield Call("LookupCache", cache_pb2.LookupCacheRequest(key=key))
    return CacheEntry.from_proto(response.entry) if response.HasField("entry") else None


def pages(method: str, request: Any, field: str, limit: int | None) -> Operation[list[Any]]:
    """Return what a list call returns, from as many pages as are wanted."""
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
    """Refuse what is no whole number, and one that no message can hold; the service judges all others."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; it must be a whole number")
    if right and not -(2**31) <= value < 2**31:
        raise InvalidArgument(
            f"{name} is {value}; it must be {right}", error_pb2.ERROR_REASON_INVALID_ARGUMENT, name
        )
