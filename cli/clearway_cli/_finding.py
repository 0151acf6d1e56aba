"""Finding the run that a person means: by its id, a beginning of that which no other run has, or its name."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import TypeVar

import typer
from google.protobuf.timestamp_pb2 import Timestamp

from clearway.exceptions import RunNotFound
from clearway.v1.flow_run_pb2 import FlowRun, FlowRunFilter
from clearway.v1.task_run_pb2 import TaskRun, TaskRunFilter
from clearway_cli import _ids, _output, _service
from clearway_cli._service import Listed

_Run = TypeVar("_Run", FlowRun, TaskRun)
_Filter = TypeVar("_Filter", FlowRunFilter, TaskRunFilter)

# So many runs are looked at for an id that is not time-ordered, or a name that is part of many others.
_MOST = 20_000
_MOST_NAMED = 5
_LONGEST_NAME = 255
# Clocks of clients, who make the ids, and of the service, which notes the times, differ.
_MARGINS = (timedelta(minutes=1), timedelta(days=1))


def flow_run_id(given: str) -> str:
    """Return the id of the flow run that a text means.

    Raises:
        RunNotFound: None is meant.
        typer.BadParameter: Several are; the message has their ids.
    """
    if _ids.is_whole(given):
        return given
    return _found(given, "flow run", _service.list_flow_runs, FlowRunFilter)


def task_run_id(given: str) -> str:
    """Return the id of the task run that a text means.

    Raises:
        RunNotFound: None is meant.
        typer.BadParameter: Several are; the message has their ids.
    """
    if _ids.is_whole(given):
        return given
    return _found(given, "task run", _service.list_task_runs, TaskRunFilter)


def _found(
    given: str, kind: str, list_runs: Callable[[_Filter, int], Listed[_Run]], make: type[_Filter]
) -> str:
    runs = {run.spec.id: run for run in _by_prefix(given, list_runs, make)}
    if len(given) <= _LONGEST_NAME:
        named = list_runs(make(name_contains=given), _MOST).items
        runs |= {run.spec.id: run for run in named if run.spec.name == given}
    if len(runs) == 1:
        return next(iter(runs))
    shown = _output.name(given[:100])
    if not runs:
        raise RunNotFound(f"no {kind} has the name '{shown}', or an id that begins so")
    ids = list(runs)
    more = f" and {len(ids) - _MOST_NAMED:,} more" if len(ids) > _MOST_NAMED else ""
    raise typer.BadParameter(
        f"'{shown}' means {len(ids):,} {kind}s; give more of an id: {', '.join(ids[:_MOST_NAMED])}{more}."
    )


def _by_prefix(
    given: str, list_runs: Callable[[_Filter, int], Listed[_Run]], make: type[_Filter]
) -> Sequence[_Run]:
    """Return the runs whose ids begin with a text."""
    prefix = _ids.prefix_in(given)
    if not prefix:
        return []
    for picked in _filters(prefix, make):
        found = [run for run in list_runs(picked, _MOST).items if run.spec.id.startswith(prefix)]
        if found:
            return found
    return []


def _filters(prefix: str, make: type[_Filter]) -> Iterator[_Filter]:
    """Yield filters that the runs with a prefix are likely to be among: by when they were made, then all."""
    window = _ids.window_of(prefix)
    if window is not None:
        for margin in _MARGINS:
            begin, end = (_timestamp(each.timestamp()) for each in window.widened(margin))
            yield make(created_after=begin, created_before=end)
    yield make()


def _timestamp(seconds: float) -> Timestamp:
    return Timestamp(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))
