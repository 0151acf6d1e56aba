"""The task run that the current code belongs to; see ``clearway.runtime``.

id            its UUID
name          its name
task_name     the task's name
tags          its tags, sorted
parameters    the task's arguments by parameter name
run_count     the number of this attempt, from 1
start_time    when this attempt began, by this machine's clock
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from clearway.context import TaskRunContext

if TYPE_CHECKING:
    from datetime import datetime

    id: str | None  # noqa: A001 - a public name
    name: str | None
    task_name: str | None
    tags: list[str]
    parameters: dict[str, Any]
    run_count: int
    start_time: datetime | None

__all__ = ["id", "name", "parameters", "run_count", "start_time", "tags", "task_name"]

_LOOK_UPS: Final[dict[str, tuple[Callable[[TaskRunContext], Any], Callable[[], Any]]]] = {
    "id": (lambda run: run.task_run_id, lambda: None),
    "name": (lambda run: run.task_run_name, lambda: None),
    "task_name": (lambda run: run.task.name, lambda: None),
    "tags": (lambda run: sorted(run.tags), list),
    "parameters": (lambda run: dict(run.parameters), dict),
    "run_count": (lambda run: run.run_count, int),
    "start_time": (lambda run: run.start_time, lambda: None),
}


def __getattr__(name: str) -> Any:
    if name not in _LOOK_UPS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    look_up, outside = _LOOK_UPS[name]
    run = TaskRunContext.get()
    return outside() if run is None else look_up(run)


def __dir__() -> list[str]:
    return sorted(__all__)
