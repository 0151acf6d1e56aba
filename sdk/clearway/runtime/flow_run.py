"""The flow run that the current code belongs to, in flows and in tasks; see ``clearway.runtime``.

id                     its UUID
name                   its name
flow_name              the flow's name
flow_version           the flow's version; None if it has none
tags                   its tags, sorted
parameters             the flow's arguments by parameter name
run_count              the number of this attempt, from 1
start_time             when this attempt began, by this machine's clock
scheduled_start_time   when it was due to start: its scheduled time, or else the time of the call
parent_flow_run_id     the UUID of the flow run that called it as a subflow; None for a top-level run
root_flow_run_id       the UUID of the top-level flow run, which may be this one
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from clearway._base.clock import now
from clearway.context import FlowRunContext

if TYPE_CHECKING:
    id: str | None  # noqa: A001 - a public name
    name: str | None
    flow_name: str | None
    flow_version: str | None
    tags: list[str]
    parameters: dict[str, Any]
    run_count: int
    start_time: datetime | None
    scheduled_start_time: datetime
    parent_flow_run_id: str | None
    root_flow_run_id: str | None

__all__ = [
    "flow_name",
    "flow_version",
    "id",
    "name",
    "parameters",
    "parent_flow_run_id",
    "root_flow_run_id",
    "run_count",
    "scheduled_start_time",
    "start_time",
    "tags",
]

_LOOK_UPS: Final[dict[str, tuple[Callable[[FlowRunContext], Any], Callable[[], Any]]]] = {
    "id": (lambda run: run.flow_run_id, lambda: None),
    "name": (lambda run: run.flow_run_name, lambda: None),
    "flow_name": (lambda run: run.flow.name, lambda: None),
    "flow_version": (lambda run: run.flow.version, lambda: None),
    "tags": (lambda run: sorted(run.tags), list),
    "parameters": (lambda run: dict(run.parameters), dict),
    "run_count": (lambda run: run.run_count, int),
    "start_time": (lambda run: run.start_time, lambda: None),
    "scheduled_start_time": (lambda run: run.scheduled_start_time, now),
    "parent_flow_run_id": (lambda run: run.parent_flow_run_id, lambda: None),
    "root_flow_run_id": (lambda run: run.root_flow_run_id, lambda: None),
}


def __getattr__(name: str) -> Any:
    if name not in _LOOK_UPS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    look_up, outside = _LOOK_UPS[name]
    run = FlowRunContext.get()
    return outside() if run is None else look_up(run)


def __dir__() -> list[str]:
    return sorted(__all__)
