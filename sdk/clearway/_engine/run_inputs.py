"""What a run was given from upstream: the futures and states among its arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from clearway._engine.inputs import Upstream, find_upstreams, replace_upstreams
from clearway._engine.outcomes import shortened
from clearway.futures import Future
from clearway.states import State
from clearway.v1.task_run_pb2 import TaskInput

_MAX_STATE = 500  # characters: a chain of runs that are not ready repeats what began it
_MAX_RECORDED = 10_000  # upstream ids of one run: some 400 kB of a message


class RunInputs:
    """The futures and states of each parameter that holds any, and of ``wait_for`` under that name."""

    __slots__ = ("_by_parameter",)

    def __init__(self, parameters: Mapping[str, Any], wait_for: Any) -> None:
        self._by_parameter: dict[str, list[Upstream]] = {
            name: found for name, value in parameters.items() if (found := find_upstreams(value))
        }
        if wait_for is not None:
            found = find_upstreams(_as_list(wait_for))
            if found:
                self._by_parameter["wait_for"] = found

    def __bool__(self) -> bool:
        return bool(self._by_parameter)

    def unfinished(self) -> list[Future[Any]]:
        """Return the futures that are not done yet."""
        return [
            upstream
            for upstreams in self._by_parameter.values()
            for upstream in upstreams
            if isinstance(upstream, Future) and not upstream.is_done()
        ]

    def failure(self) -> str:
        """Return which input did not complete, and how it ended, in words; empty where all did."""
        for upstreams in self._by_parameter.values():
            for upstream in upstreams:
                state = _state_of(upstream)
                if not state.is_completed():
                    how = shortened(str(state), _MAX_STATE)
                    return f"{_name_of(upstream)} did not complete: it is {how}"
        return ""

    def resolved(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters with the results of the inputs in their place.

        Raises:
            MissingResult: A result cannot be read.
        """
        return {
            name: replace_upstreams(value, lambda upstream: _state_of(upstream).result())
            if name in self._by_parameter
            else value
            for name, value in parameters.items()
        }

    def recorded(self) -> list[TaskInput]:
        """Return what the service is told of the inputs; of very many, the first."""
        inputs = []
        left = _MAX_RECORDED
        for parameter, upstreams in self._by_parameter.items():
            ids = list(dict.fromkeys(filter(None, map(_run_id_of, upstreams))))[:left]
            left -= len(ids)
            if ids:
                inputs.append(TaskInput(parameter=parameter, task_run_ids=ids))
        return inputs


NO_INPUTS = RunInputs({}, None)


def _as_list(wait_for: Any) -> list[Any]:
    if isinstance(wait_for, (Future, State)):
        return [wait_for]
    if not isinstance(wait_for, Iterable):
        raise TypeError(f"wait_for is {wait_for!r}; give a list of futures or states")
    return list(wait_for)


def _state_of(upstream: Upstream) -> State[Any]:
    return upstream.current_state() if isinstance(upstream, Future) else upstream


def _run_id_of(upstream: Upstream) -> str:
    return upstream.task_run_id if isinstance(upstream, Future) else upstream.details.task_run_id


def _name_of(upstream: Upstream) -> str:
    if isinstance(upstream, Future):
        return f"the upstream task run {upstream.name!r}"
    run_id = _run_id_of(upstream)
    return f"the upstream task run {run_id}" if run_id else "the upstream state"
