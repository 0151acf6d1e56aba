"""The calls to the service, which is a server or the database file of this machine."""

from collections.abc import Callable, Sequence
from concurrent.futures import wait
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from clearway._transport import rpcs
from clearway._transport.current import connect
from clearway.exceptions import LimitNotFound
from clearway.v1 import (
    cache_pb2,
    concurrency_limit_pb2,
    explanation_pb2,
    flow_run_pb2,
    server_info_pb2,
    state_pb2,
    task_run_pb2,
)
from clearway_cli import _ids

_T = TypeVar("_T")
_Request = TypeVar("_Request", bound=Message)
_Response = TypeVar("_Response", bound=Message)
_PAGE = 1_000
_ATTENTION_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Listed(Generic[_T]):
    """The requested items, newest first, and whether there are more."""

    items: Sequence[_T]
    more: bool


def set_limit(tag: str, limit: int) -> concurrency_limit_pb2.SetConcurrencyLimitResponse:
    """Set the limit of a tag, whether or not it had one."""
    request = concurrency_limit_pb2.SetConcurrencyLimitRequest(tag=tag, limit=limit)
    return _ask(rpcs.SET_CONCURRENCY_LIMIT, request)


def read_now() -> Timestamp:
    """Return the time by the service's clock, which its leases use."""
    return _ask(rpcs.GET_SERVER_INFO, server_info_pb2.GetServerInfoRequest()).current_time


def read_limit(tag: str) -> concurrency_limit_pb2.ConcurrencyLimit:
    """Return the limit of a tag, with the first of its holders and waiters."""
    request = concurrency_limit_pb2.GetConcurrencyLimitRequest(tag=tag)
    return _ask(rpcs.GET_CONCURRENCY_LIMIT, request).concurrency_limit


def find_limit(tag_or_id: str) -> concurrency_limit_pb2.ConcurrencyLimit:
    """Return the limit of a tag or, if no tag with a limit is called so, that with the id or its beginning.

    It has all holders of its slots; the service's response has only the first of them.
    """
    found = _find_limit(tag_or_id)
    if found.taken_count <= len(found.holders):
        return found

    def page(size: int, token: str) -> tuple[Sequence[concurrency_limit_pb2.SlotHolder], str]:
        request = concurrency_limit_pb2.ListSlotHoldersRequest(
            tag=found.tag, page_size=size, page_token=token
        )
        answer = _ask(rpcs.LIST_SLOT_HOLDERS, request)
        return answer.holders, answer.next_page_token

    holders = _pages(page, None).items
    del found.holders[:]
    found.holders.extend(holders)
    found.taken_count = len(holders)
    return found


def _find_limit(tag_or_id: str) -> concurrency_limit_pb2.ConcurrencyLimit:
    try:
        return read_limit(tag_or_id)
    except LimitNotFound:
        if not _ids.is_whole(tag_or_id):
            prefix = _ids.prefix_in(tag_or_id)
            found = [limit for limit in list_limits() if prefix and limit.id.startswith(prefix)]
            if len(found) != 1:
                raise
            return found[0]
    request = concurrency_limit_pb2.GetConcurrencyLimitRequest(id=tag_or_id)
    return _ask(rpcs.GET_CONCURRENCY_LIMIT, request).concurrency_limit


def reset_limit(tag: str) -> concurrency_limit_pb2.ResetConcurrencyLimitResponse:
    """Take back all slots of a tag by force; return their holders, the first ones if there are very many."""
    request = concurrency_limit_pb2.ResetConcurrencyLimitRequest(tag=tag)
    return _ask(rpcs.RESET_CONCURRENCY_LIMIT, request)


def delete_limit(tag: str) -> None:
    """Remove the limit of a tag."""
    request = concurrency_limit_pb2.DeleteConcurrencyLimitRequest(tag=tag)
    _ask(rpcs.DELETE_CONCURRENCY_LIMIT, request)


def list_limits() -> list[concurrency_limit_pb2.ConcurrencyLimit]:
    """Return all limits, sorted by tag."""

    def page(size: int, token: str) -> tuple[Sequence[concurrency_limit_pb2.ConcurrencyLimit], str]:
        request = concurrency_limit_pb2.ListConcurrencyLimitsRequest(page_size=size, page_token=token)
        answer = _ask(rpcs.LIST_CONCURRENCY_LIMITS, request)
        return answer.concurrency_limits, answer.next_page_token

    return list(_pages(page, None).items)


def read_flow_run(run_id: str) -> flow_run_pb2.FlowRun:
    """Return a flow run."""
    request = flow_run_pb2.GetFlowRunRequest(id=run_id)
    return _ask(rpcs.GET_FLOW_RUN, request).flow_run


def read_flow_run_states(run_id: str) -> Sequence[state_pb2.State]:
    """Return a flow run's history of states, the current one last."""

    def page(size: int, token: str) -> tuple[Sequence[state_pb2.State], str]:
        request = flow_run_pb2.ListFlowRunStatesRequest(flow_run_id=run_id, page_size=size, page_token=token)
        answer = _ask(rpcs.LIST_FLOW_RUN_STATES, request)
        return answer.states, answer.next_page_token

    return _pages(page, None).items


def list_flow_runs(picked: flow_run_pb2.FlowRunFilter, limit: int) -> Listed[flow_run_pb2.FlowRun]:
    """Return the newest flow runs that match a filter."""

    def page(size: int, token: str) -> tuple[Sequence[flow_run_pb2.FlowRun], str]:
        request = flow_run_pb2.ListFlowRunsRequest(filter=picked, page_size=size, page_token=token)
        answer = _ask(rpcs.LIST_FLOW_RUNS, request)
        return answer.flow_runs, answer.next_page_token

    return _pages(page, limit)


def read_task_run(run_id: str) -> task_run_pb2.TaskRun:
    """Return a task run."""
    request = task_run_pb2.GetTaskRunRequest(id=run_id)
    return _ask(rpcs.GET_TASK_RUN, request).task_run


def read_task_run_states(run_id: str) -> Sequence[state_pb2.State]:
    """Return a task run's history of states, the current one last."""

    def page(size: int, token: str) -> tuple[Sequence[state_pb2.State], str]:
        request = task_run_pb2.ListTaskRunStatesRequest(task_run_id=run_id, page_size=size, page_token=token)
        answer = _ask(rpcs.LIST_TASK_RUN_STATES, request)
        return answer.states, answer.next_page_token

    return _pages(page, None).items


def explain_task_run(run_id: str) -> explanation_pb2.ExplainTaskRunResponse:
    """Return why a task run is in its state."""
    request = explanation_pb2.ExplainTaskRunRequest(id=run_id)
    return _ask(rpcs.EXPLAIN_TASK_RUN, request)


def lookup_cache(key: str) -> cache_pb2.CacheEntry | None:
    """Return the live cache entry of a key, or None if there is none."""
    answer = _ask(rpcs.LOOKUP_CACHE, cache_pb2.LookupCacheRequest(key=key))
    return answer.entry if answer.HasField("entry") else None


def list_cache_entries(picked: cache_pb2.CacheFilter, limit: int) -> Listed[cache_pb2.CacheEntry]:
    """Return the newest cache entries that match a filter."""

    def page(size: int, token: str) -> tuple[Sequence[cache_pb2.CacheEntry], str]:
        request = cache_pb2.ListCacheEntriesRequest(filter=picked, page_size=size, page_token=token)
        answer = _ask(rpcs.LIST_CACHE_ENTRIES, request)
        return answer.entries, answer.next_page_token

    return _pages(page, limit)


def invalidate_cache(picked: cache_pb2.CacheFilter | None, *, dry_run: bool) -> int:
    """Remove the cache entries that match a filter, or all for None; return how many were, or would be."""
    request = cache_pb2.InvalidateCacheRequest(filter=picked, all=picked is None, dry_run=dry_run)
    return _ask(rpcs.INVALIDATE_CACHE, request).count


def read_cache_stats() -> cache_pb2.GetCacheStatsResponse:
    """Return what the cache holds as a whole."""
    return _ask(rpcs.GET_CACHE_STATS, cache_pb2.GetCacheStatsRequest())


def list_task_cache_stats() -> Sequence[cache_pb2.TaskCacheStats]:
    """Return what the cache holds of each task, those with the most entries first."""

    def page(size: int, token: str) -> tuple[Sequence[cache_pb2.TaskCacheStats], str]:
        request = cache_pb2.ListTaskCacheStatsRequest(page_size=size, page_token=token)
        answer = _ask(rpcs.LIST_TASK_CACHE_STATS, request)
        return answer.tasks, answer.next_page_token

    return _pages(page, None).items


def list_task_runs(picked: task_run_pb2.TaskRunFilter, limit: int) -> Listed[task_run_pb2.TaskRun]:
    """Return the newest task runs that match a filter."""

    def page(size: int, token: str) -> tuple[Sequence[task_run_pb2.TaskRun], str]:
        request = task_run_pb2.ListTaskRunsRequest(filter=picked, page_size=size, page_token=token)
        answer = _ask(rpcs.LIST_TASK_RUNS, request)
        return answer.task_runs, answer.next_page_token

    return _pages(page, limit)


def _ask(method: rpcs.Method[_Request, _Response], request: _Request) -> _Response:
    answer = method.start(connect(), request)
    # A Ctrl-C just before a lock is waited for does not end the wait, so every wait has a timeout.
    while not wait([answer], _ATTENTION_SECONDS).done:
        pass
    return answer.result()


def _pages(page: Callable[[int, str], tuple[Sequence[_T], str]], limit: int | None) -> Listed[_T]:
    """Return the items of as many pages as ``limit`` needs; None for all."""
    items: list[_T] = []
    token = ""
    while True:
        found, token = page(_PAGE if limit is None else min(_PAGE, limit - len(items)), token)
        items.extend(found)
        if not token or len(items) == limit:
            return Listed(items, more=bool(token))
