"""The upstream inputs of a run: the futures, states and results of other runs among its arguments."""

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
    """What each parameter, and ``wait_for``, takes from other runs; only those that take anything."""

    __slots__ = ("_by_parameter", "_provenance", "_shared")

    def __init__(
        self,
        parameters: Mapping[str, Any],
        wait_for: Any,
        provenance: Provenance = NO_PROVENANCE,
        mapped: Mapping[str, Found] = NOTHING_MAPPED,
        shared: SharedArguments = NOT_SHARED,
    ) -> None:
        """Search the arguments of a call.

        Args:
            parameters: The arguments by parameter name.
            wait_for: Futures and states that must complete first.
            provenance: Which task run produced which object.
            mapped: The task runs that produced the mapped iterables, by parameter.
            shared: The arguments that all runs of a map have in common.
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
        """Whether there is anything to wait for, to check or to replace with a result."""
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
        """Return the error of the first input that did not complete; None if all did."""
        for found in self._by_parameter.values():
            for upstream in (*found.upstreams, *found.may_fail):
                state = _state_of(upstream)
                if not (state.is_completed() or (state.is_failed() and upstream not in found.upstreams)):
                    return upstream_error(_name_of(upstream), state)
        return None

    def resolved(self, parameters: dict[str, Any], *, keep_unmapped: bool = False) -> dict[str, Any]:
        """Return the parameters with inputs replaced by their results; failed ones by their exceptions.

        Args:
            parameters: The arguments by parameter name.
            keep_unmapped: Keep ``unmapped``; other annotations are always removed.

        Raises:
            MissingResult: A result was deleted, is damaged or comes from an untrusted place.
            UnreadableResult: A result cannot be read at present.
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
        """Return the inputs as recorded at the service, truncated if there are very many."""
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
    """Return the inputs of a task run; runs without any share one empty object."""
    inputs = RunInputs(parameters, wait_for, provenance, mapped, shared)
    return inputs or NO_INPUTS


def as_list(wait_for: Any) -> list[Any]:
    """Return ``wait_for`` as a list; a single future or state becomes a list of one.

    Raises:
        TypeError: It is not iterable.
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
