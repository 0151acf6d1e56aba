"""Clearway: write flows and tasks in Python; a service decides when each run starts, waits, retries or ends.

    from clearway import flow, task

    @task(retries=3)
    def load(path): ...

    @flow
    def nightly(paths):
        return load.map(paths)

Each public name is imported on first use, so ``import clearway`` itself is almost free.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clearway import context, runtime
    from clearway._definition.annotations import allow_failure, quote, unmapped
    from clearway.client import get_client
    from clearway.context import FlowRunContext, TaskRunContext, get_run_context, refresh_cache, tags
    from clearway.flows import Flow, flow
    from clearway.futures import AsyncTaskFuture, TaskFuture
    from clearway.hashing import task_input_hash
    from clearway.logging import get_run_logger
    from clearway.states import (
        AwaitingRetry,
        Cancelled,
        Completed,
        Crashed,
        Failed,
        Pending,
        Retrying,
        Running,
        Scheduled,
        State,
    )
    from clearway.task_runners import (
        ConcurrentTaskRunner,
        ProcessPoolTaskRunner,
        SequentialTaskRunner,
        TaskRunner,
        ThreadPoolTaskRunner,
    )
    from clearway.tasks import Task, exponential_backoff, task

__all__ = [
    "AsyncTaskFuture",
    "AwaitingRetry",
    "Cancelled",
    "Completed",
    "ConcurrentTaskRunner",
    "Crashed",
    "Failed",
    "Flow",
    "FlowRunContext",
    "Pending",
    "ProcessPoolTaskRunner",
    "Retrying",
    "Running",
    "Scheduled",
    "SequentialTaskRunner",
    "State",
    "Task",
    "TaskFuture",
    "TaskRunContext",
    "TaskRunner",
    "ThreadPoolTaskRunner",
    "allow_failure",
    "context",
    "exponential_backoff",
    "flow",
    "get_client",
    "get_run_context",
    "get_run_logger",
    "quote",
    "refresh_cache",
    "runtime",
    "tags",
    "task",
    "task_input_hash",
    "unmapped",
]

_MODULES = {
    "_definition.annotations": ("allow_failure", "quote", "unmapped"),
    "client": ("get_client",),
    "context": ("FlowRunContext", "TaskRunContext", "get_run_context", "refresh_cache", "tags"),
    "flows": ("Flow", "flow"),
    "futures": ("AsyncTaskFuture", "TaskFuture"),
    "hashing": ("task_input_hash",),
    "logging": ("get_run_logger",),
    "states": (
        "AwaitingRetry",
        "Cancelled",
        "Completed",
        "Crashed",
        "Failed",
        "Pending",
        "Retrying",
        "Running",
        "Scheduled",
        "State",
    ),
    "task_runners": (
        "ConcurrentTaskRunner",
        "ProcessPoolTaskRunner",
        "SequentialTaskRunner",
        "TaskRunner",
        "ThreadPoolTaskRunner",
    ),
    "tasks": ("Task", "exponential_backoff", "task"),
}
_SUBMODULES = frozenset({"context", "runtime"})
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
