"""What a run was given from upstream: the futures, states and results among its arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from clearway._definition.annotations import Annotation
from clearway._execution.inputs.found import Found, Upstream, maker_of, replace_upstreams
from clearway._execution.inputs.held import ATOMS
from clearway._execution.inputs.provenance import NO_PROVENANCE, Provenance
from clearway._execution.inputs.shared import NOT_SHARED, SharedArguments
from clearway._execution.inputs.upstream_errors import upstream_error
from clearway.futures import Future
from clearway.states import State
from clearway.v1.task_run_pb2 import TaskInput

if TYPE_CHECKING:
    from clearway.run_errors import RunError

_MAX_RECORDED = 10_000  # upstream ids of one run: some 400 kB of a message

NOTHING_MAPPED: Mapping[str, Found] = {}


class RunInputs:
    """What each parameter holds from upstream, if anything, and ``wait_for`` under that name."""

    __slots__ = ("_by_parameter", "_provenance", "_shared")

    def __init__(
        self,
        parameters: Mapping[str, Any],
        wait_for: Any,
        provenance: Provenance = NO_PROVENANCE,
        mapped: Mapping[str, Found] = NOTHING_MAPPED,
        shared: SharedArguments = NOT_SHARED,
    ) -> None:
        """Look through the arguments of a call.

        Args:
            parameters: The arguments by parameter.
            wait_for: What else has to complete first.
            provenance: Which task runs made which objects.
            mapped: The makers of what the parameters are elements of.
            shared: What all runs of a map are given.
        """
        self._provenance = provenance
        self._shared = shared
        self._by_parameter: dict[str, Found] = {
            name: found
            for name, value in parameters.items()
            if type(value) not in ATOMS and (found := self._found(value))
        }
        for name, whole in mapped.items():
            found = self._by_parameter.setdefault(name, whole)
            if found is not whole:
                found.makers.extend(whole.makers)
        if wait_for is not None:
            waits = shared.found(wait_for)
            if waits is None:
                waits = Found(as_list(wait_for), provenance)
            if waits:
                self._by_parameter["wait_for"] = waits

    def _found(self, value: Any) -> Found:
        if not self._shared:
            return Found(value, self._provenance)
        whole = self._shared.found(value)
        return Found(value, self._provenance, self._shared.found) if whole is None else whole

    def __bool__(self) -> bool:
        return bool(self._by_parameter)

    @property
    def to_resolve(self) -> bool:
        """Whether there is anything to wait for, to check, or to put a result in the place of."""
        return any(found.to_resolve for found in self._by_parameter.values())

    def unfinished(self) -> list[Future[Any]]:
        """Return the futures that are not done yet."""
        return [
            upstream
            for found in self._by_parameter.values()
            for upstream in (*found.upstreams, *found.may_fail)
            if isinstance(upstream, Future) and not upstream.is_done()
        ]

    def failure(self) -> RunError | None:
        """Return which input did not complete, and how it ended; None if all did."""
        for found in self._by_parameter.values():
            for upstream in (*found.upstreams, *found.may_fail):
                state = _state_of(upstream)
                if not (state.is_completed() or (state.is_failed() and upstream not in found.upstreams)):
                    return upstream_error(_name_of(upstream), state)
        return None

    def resolved(self, parameters: dict[str, Any], *, keep_unmapped: bool = False) -> dict[str, Any]:
        """Return the parameters with the results of the inputs in their place; exceptions of failed ones.

        Args:
            parameters: The arguments by parameter.
            keep_unmapped: Leave ``unmapped`` on, which other annotations are not.

        Raises:
            MissingResult: A result is gone, damaged or not trusted.
            UnreadableResult: One cannot be read at present.
        """
        known = self._known if self._shared else None
        return {
            name: replace_upstreams(value, _result_of, keep_unmapped=keep_unmapped, known=known)
            if name in self._by_parameter and self._by_parameter[name].to_resolve
            else value
            for name, value in parameters.items()
        }

    def _known(self, value: Any) -> list[Any]:
        return [] if self._shared.found(value) is None else [self._shared.resolved(value, _result_of)]

    def recorded(self) -> list[TaskInput]:
        """Return what the service is told of the inputs; of very many, the first."""
        inputs = []
        left = _MAX_RECORDED
        for parameter, found in self._by_parameter.items():
            upstreams = (*found.upstreams, *found.may_fail)
            makers = (*(maker_of(upstream, self._provenance) for upstream in upstreams), *found.makers)
            ids = list(dict.fromkeys(filter(None, makers)))[:left]
            left -= len(ids)
            if ids:
                inputs.append(TaskInput(parameter=parameter, task_run_ids=ids))
        return inputs


NO_INPUTS = RunInputs({}, None)


def inputs_of(
    parameters: Mapping[str, Any],
    wait_for: Any,
    provenance: Provenance,
    mapped: Mapping[str, Found],
    shared: SharedArguments,
) -> RunInputs:
    """Return what a task run was given from upstream; the many that were given nothing share one."""
    inputs = RunInputs(parameters, wait_for, provenance, mapped, shared)
    return inputs or NO_INPUTS


def as_list(wait_for: Any) -> list[Any]:
    """Return what ``wait_for`` names; one alone is as good as a list of it.

    Raises:
        TypeError: It is nothing to go over.
    """
    if isinstance(wait_for, (Future, State, Annotation)):
        return [wait_for]
    if not isinstance(wait_for, Iterable):
        raise TypeError(f"wait_for is {wait_for!r}; give a list of futures or states")
    return list(wait_for)


def _state_of(upstream: Upstream) -> State[Any]:
    return upstream.current_state() if isinstance(upstream, Future) else upstream


def _result_of(upstream: Upstream) -> Any:
    return _state_of(upstream).result(raise_on_failure=False)


def _name_of(upstream: Upstream) -> str:
    if isinstance(upstream, Future):
        return f"the upstream task run {upstream.name!r}"
    run_id = upstream.details.task_run_id
    return f"the upstream task run {run_id}" if run_id else "the upstream state"
