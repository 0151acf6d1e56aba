"""Invalid pages and filters of lists, and invalid cache keys."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from clearway.v1.cache_pb2 import (
    CacheFilter,
    InvalidateCacheRequest,
    ListCacheEntriesRequest,
    ListTaskCacheStatsRequest,
    LookupCacheRequest,
)
from clearway.v1.concurrency_limit_pb2 import (
    ListConcurrencyLimitsRequest,
    ListSlotHoldersRequest,
    ListSlotWaitersRequest,
)
from clearway.v1.flow_run_pb2 import FlowRunFilter, ListFlowRunsRequest, ListFlowRunStatesRequest
from clearway.v1.log_pb2 import ListLogsRequest
from clearway.v1.state_pb2 import STATE_TYPE_PENDING
from clearway.v1.task_run_pb2 import ListTaskRunsRequest, ListTaskRunStatesRequest, TaskRunFilter
from support.wrong.cases import WRONG_DURATIONS, WRONG_TIMES, Build, Case, missing, said_as, too_long, wrong


def _token(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode()


def _say_token(token: str) -> str:
    return token[:60]


_BAD_TOKENS = ("?", "é", _token(b"\xff\xfe"))
_ARABIC_ONE = "\u0661"
_BAD_NUMBERS = (
    _token(b"x"),
    _token(b"-1"),
    _token(b"9" * 30),
    _token(b"9" * 5_000),
    _token(_ARABIC_ONE.encode()),
)
_BAD_SIZES = said_as((-1, 1_001, 2**31 - 1, -(2**31)))

_NUMBERED: list[tuple[str, Callable[..., Message]]] = [
    ("ListFlowRuns", ListFlowRunsRequest),
    ("ListTaskRuns", ListTaskRunsRequest),
    ("ListLogs", ListLogsRequest),
]


_OF_SOMETHING: list[tuple[str, Callable[..., Message]]] = [
    ("ListFlowRunStates", lambda world, **page: ListFlowRunStatesRequest(flow_run_id=world.flow, **page)),
    ("ListTaskRunStates", lambda world, **page: ListTaskRunStatesRequest(task_run_id=world.task, **page)),
    ("ListSlotHolders", lambda _, **page: ListSlotHoldersRequest(tag="limited", **page)),
    ("ListSlotWaiters", lambda _, **page: ListSlotWaitersRequest(tag="limited", **page)),
]


def _token_of(build: Callable[..., Message]) -> Build:
    return lambda world, token: build(world, page_token=token)


def _size_of(build: Callable[..., Message]) -> Build:
    return lambda world, size: build(world, page_size=size)


def _pages(method: str, make: Callable[..., Message], tokens: tuple[str, ...]) -> list[Case]:
    return [
        *wrong(method, "page_token", lambda _, token: make(page_token=token), said_as(tokens, _say_token)),
        *wrong(method, "page_size", lambda _, size: make(page_size=size), _BAD_SIZES),
    ]


def _filters(method: str, make: Callable[..., Message], *names: str) -> list[Case]:
    def having(field: str) -> Build:
        return lambda _, value: make(**{field: value})

    def one_of(types: Any) -> Message:
        return make(state_types=[STATE_TYPE_PENDING, types])

    many = [(["n"] * 101, "101")]
    return [
        *wrong(method, "filter.created_after", having("created_after"), WRONG_TIMES),
        *wrong(method, "filter.created_before", having("created_before"), WRONG_TIMES),
        *wrong(method, "filter.state_types[1]", lambda _, type_: one_of(type_), said_as((0, 8, 99, -1))),
        *wrong(method, "filter.state_types", having("state_types"), [([STATE_TYPE_PENDING] * 101, "101")]),
        *wrong(method, "filter.name_contains", having("name_contains"), too_long(255)),
        *(
            case
            for each in (*names, "state_names")
            for case in wrong(method, f"filter.{each}", having(each), many)
        ),
        *(
            case
            for each in (*names, "state_names")
            for case in wrong(method, f"filter.{each}[1]", having(each), [(["n", "n" * 256], "256")])
        ),
    ]


def _cache_filters(method: str, make: Callable[..., Message]) -> list[Case]:
    def having(field: str) -> Build:
        return lambda _, value: make(filter=CacheFilter(**{field: value}))

    return [
        *wrong(method, "filter.key", having("key"), [*too_long(1_024), ("k\0", r"'k\x00'")]),
        *wrong(method, "filter.key_prefix", having("key_prefix"), too_long(1_024)),
        *wrong(method, "filter.task", having("task"), too_long(255)),
        *wrong(method, "filter.tags[0]", having("tags"), [(["\n"], r"'\n'")]),
        *wrong(method, "filter.created_after", having("created_after"), WRONG_TIMES),
        *wrong(method, "filter.older_than", having("older_than"), WRONG_DURATIONS),
        *wrong(method, "filter.created_before", having("created_before"), WRONG_TIMES),
    ]


CASES: list[Case] = []
for _method, _make in _NUMBERED:
    CASES += _pages(_method, _make, _BAD_TOKENS + _BAD_NUMBERS)
CASES += _pages("ListConcurrencyLimits", ListConcurrencyLimitsRequest, _BAD_TOKENS)
for _method, _build in _OF_SOMETHING:
    CASES += wrong(_method, "page_token", _token_of(_build), said_as(_BAD_TOKENS + _BAD_NUMBERS, _say_token))
    CASES += wrong(_method, "page_size", _size_of(_build), _BAD_SIZES)
CASES += _filters(
    "ListFlowRuns", lambda **given: ListFlowRunsRequest(filter=FlowRunFilter(**given)), "flow_names"
)
CASES += _filters(
    "ListTaskRuns",
    lambda **given: ListTaskRunsRequest(filter=TaskRunFilter(**given)),
    "task_keys",
    "task_names",
)
CASES += wrong("ListLogs", "min_level", lambda _, level: ListLogsRequest(min_level=level), said_as((-1, 101)))
CASES += missing("LookupCache", "key", LookupCacheRequest())
CASES += wrong("LookupCache", "key", lambda _, key: LookupCacheRequest(key=key), too_long(1_024))
CASES += _pages("ListCacheEntries", ListCacheEntriesRequest, _BAD_TOKENS + _BAD_NUMBERS)
CASES += _pages("ListTaskCacheStats", ListTaskCacheStatsRequest, _BAD_TOKENS + _BAD_NUMBERS)
CASES += missing("InvalidateCache", "filter", InvalidateCacheRequest())
CASES += missing("InvalidateCache", "filter", InvalidateCacheRequest(filter=CacheFilter(key="")))
CASES += wrong(
    "InvalidateCache",
    "all",
    lambda _, key: InvalidateCacheRequest(filter=CacheFilter(key=key), all=True),
    [("k", "both set")],
)
CASES += _cache_filters("ListCacheEntries", ListCacheEntriesRequest)
CASES += _cache_filters("InvalidateCache", InvalidateCacheRequest)
