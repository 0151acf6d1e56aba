"""Flows: functions whose calls are orchestrated runs, with the runs of the tasks and flows that they call."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    Literal,
    NoReturn,
    ParamSpec,
    TypeVar,
    Unpack,
    overload,
)

from clearway._base.tracebacks import folded
from clearway._calls.bound import BoundFlow
from clearway._calls.pickled import Pickled
from clearway._definition.base import FLOW_OPTIONS, FlowDefinition, FlowOptions
from clearway._definition.binding import Binding
from clearway._definition.option_checks import checked_flag
from clearway._definition.run_names import checked_run_name
from clearway.task_runners import checked_task_runner

if TYPE_CHECKING:
    from clearway._calls.upstream import Upstream
    from clearway._definition.parameters import ParameterRules
    from clearway.states import State

__all__ = ["Flow", "flow"]

P = ParamSpec("P")
Q = ParamSpec("Q")
S = TypeVar("S")
R = TypeVar("R", covariant=True)  # noqa: PLC0105 - so that CoroutineType, as pyright says, is a Coroutine
T = TypeVar("T")
# In the overloads below, ``NoReturn`` matches a function whose result is not annotated; see ``task_calls``.


class Flow(Pickled, FlowDefinition, Generic[P, R]):
    """A function whose calls are orchestrated runs. Made by ``@flow``.

    Each option of ``flow`` is an attribute of the same name, but for the hooks and ``validate_parameters``.

    Attributes:
        fn: The function itself; ``my_flow.fn(...)`` calls it without orchestration.
        hooks: The functions called when a run enters a state, by option: ``on_running``, ``on_completion``,
            ``on_failure``, ``on_cancellation``, ``on_crashed``.
        keeping: ``result_storage``, checked.
        should_validate_parameters: Whether arguments are checked and converted by the annotations.
        is_async: Whether calling the function makes a coroutine.
    """

    fn: Callable[P, R]

    @FLOW_OPTIONS.show
    def __init__(self, fn: Callable[P, R], **options: Unpack[FlowOptions]) -> None:
        """Make a flow of a function; see ``flow`` for the options.

        Raises:
            TypeError: ``fn`` cannot be called, there is no such option, or one is of a wrong type.
            ValueError: An option's value is not allowed.
            ReservedArgument: A parameter has a name that calls of flows take for themselves.
        """
        given = FLOW_OPTIONS.completed(options)
        self._take_function(fn, given["name"])
        owner = f"the flow {self.name!r}"
        self._take_options(owner, given)
        self.should_validate_parameters = checked_flag(
            "validate_parameters", owner, given["validate_parameters"]
        )
        self.task_runner = checked_task_runner(owner, given["task_runner"])
        self.flow_run_name = checked_run_name("flow_run_name", owner, given["flow_run_name"], self.signature)

    @overload
    def __get__(self, instance: None, owner: type) -> Flow[P, R]: ...
    @overload
    def __get__(
        self: Flow[Concatenate[S, Q], R], instance: S, owner: type[S] | None = None
    ) -> Flow[Q, R]: ...
    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """Return the flow as a method: its calls get the instance, or the class, as their first argument."""
        if self._binding is Binding.CLASS:
            return BoundFlow(self, owner or type(instance))
        if instance is None or self._binding is Binding.NOTHING:
            return self
        return BoundFlow(self, instance)

    def validate_parameters(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments as the function's annotations want them; every call does this, unless told not to.

        Args:
            parameters: The arguments by parameter; what is a parameter's default is taken as it is.

        Raises:
            ParameterTypeError: An argument is not what its annotation says, and cannot be made so.
        """
        return self._rules.applied(parameters)

    def stand_in(self, fn: Callable[..., Any]) -> Flow[..., Any]:
        """Return a flow of another function that has the names of this one, and no other options."""
        return Flow(fn, name=self.name, description=self.description, version=self.version)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_rules"}

    @functools.cached_property
    def _rules(self) -> ParameterRules:
        from clearway._definition.parameters import ParameterRules  # noqa: PLC0415 - loaded with the first run

        return ParameterRules(self.fn, f"the flow {self.name!r}")

    @overload  # what returns a state made by hand, whose call returns the result that is in it
    def __call__(  # type: ignore[overload-overlap]  # with the last one, for who gives wait_for
        self: Flow[P, State[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # as above, and with those for return_state
        self: Flow[P, Coroutine[Any, Any, State[T]]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(
        self: Flow[..., NoReturn], /, *args: Any, return_state: Literal[True], **kwargs: Any
    ) -> State[Any]: ...
    @overload
    def __call__(
        self: Flow[..., State[T]],
        /,
        *args: Any,
        return_state: Literal[True],
        **kwargs: Any,
    ) -> State[T]: ...
    @overload
    def __call__(
        self: Flow[..., Coroutine[Any, Any, T]], /, *args: Any, return_state: Literal[True], **kwargs: Any
    ) -> Coroutine[Any, Any, State[T]]: ...
    @overload
    def __call__(self, /, *args: Any, return_state: Literal[True], **kwargs: Any) -> State[R]: ...
    @overload
    def __call__(
        self,
        /,
        *args: Any,
        return_state: Literal[False] = False,
        wait_for: Iterable[Upstream] | None,
        **kwargs: Any,
    ) -> R: ...
    def __call__(  # type: ignore[misc]  # P has no return_state and no wait_for: see CallSignature
        self,
        /,
        *args: Any,
        return_state: bool = False,
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Run the flow, and return its result. An async flow is to be awaited, except in a sync flow.

        What the function returns decides how the run ends. Data: it completes with that data. Futures or
        states of runs, one or a list of them: it completes if all of them did, with their states as the
        result, and fails otherwise. A state that was made by hand, such as ``Failed(message=...)``: it ends
        in that state. None: it completes if all its task runs and subflows did, and fails otherwise.

        Args:
            args: The function's arguments.
            return_state: Return the state that the run ends in, rather than its result or its exception.
            wait_for: For a subflow, futures and states that must complete first.
            kwargs: The function's keyword arguments.

        Raises:
            ParameterBindError: The arguments do not fit the function.
            ParameterTypeError: An argument is not what its annotation says; the run has failed before the
                function was called.
            NestedTask: The caller is in a task.
            ServerUnavailable: The service cannot be reached.
            Exception: What the function raised, as it raised it.
        """
        from clearway._execution.flow.calls import call_flow  # noqa: PLC0415 - loaded with the first run

        try:
            return call_flow(self, (args, kwargs), wait_for, return_state=return_state)
        except BaseException as error:
            folded(error)
            raise

    def __repr__(self) -> str:
        return f"<Flow {self.name!r}>"


@overload
def flow(fn: Callable[P, R], /, **options: Unpack[FlowOptions]) -> Flow[P, R]: ...
@overload
def flow(**options: Unpack[FlowOptions]) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
@FLOW_OPTIONS.show
def flow(fn: Callable[..., Any] | None = None, /, **options: Unpack[FlowOptions]) -> Any:
    """Make a flow of a function: ``@flow``, or ``@flow(name="nightly")``.

    Args:
        fn: The function, sync or async.
        options: Each has a default:
            ``name``: by default the function's.
            ``description``: by default the function's docstring.
            ``version``: any string, such as ``"1.2"``.
            ``retries``: how many times a failed run is tried again, without the task runs that completed; by
            default 0.
            ``retry_delay_seconds``: how long it waits before each retry: a number of seconds; a list of them,
            of which the last holds for all further retries; or a function that takes the number of retries
            and returns such a list, such as ``exponential_backoff(10)``. By default 0.
            ``retry_jitter_factor``: lengthens each delay at random by up to this part of it: with 0.5 by up
            to half. By default delays are not spread.
            ``timeout_seconds``: how long its code may take, its tasks included; 0 and None, the default, are
            no limit. A run that takes longer fails, named TimedOut, and what it started is ended. Async code
            is cancelled. Sync code is interrupted on the main thread; on others, when it next calls or waits
            for a task or flow.
            ``result_storage``: a directory or a URL for results of it, its tasks and its subflows that are
            too large to travel within the run's state; a task's own takes precedence. By default that of its
            parent or of the settings.
            ``log_prints``: log what its code prints as INFO lines of the run, and what those of its tasks
            print that do not set it; by default as its parent does, or as the setting
            ``CLEARWAY_LOGGING_LOG_PRINTS`` says.
            ``flow_run_name``: the name of its runs: a template that names parameters, such as
            ``"load {day}"``, or a function without parameters, which may read ``clearway.runtime``.
            ``validate_parameters``: whether arguments are checked, and converted where that loses nothing,
            by the annotations of the function; by default True.
            ``task_runner``: a task runner, or the class of one, which executes the code of submitted task
            runs; by default ``ConcurrentTaskRunner``, for subflows too.
            ``on_completion``, ``on_failure``, ``on_cancellation``, ``on_crashed``, ``on_running``: lists of
            functions ``(flow, flow_run, state)``, sync or async, called when a run has entered such a state:
            on_running at each attempt, on_failure when no retry is left, on_crashed if the run was
            interrupted and its process lives. What they raise is logged and changes nothing.

    Raises:
        TypeError: ``fn`` cannot be called, there is no such option, or one is of a wrong type.
        ValueError: An option's value is not allowed.
        ReservedArgument: A parameter has a name that calls of flows take for themselves.
    """
    if fn is not None:
        return Flow(fn, **options)
    FLOW_OPTIONS.completed(options)
    return functools.partial(_flow_with, options)


def _flow_with(options: FlowOptions, fn: Callable[P, R]) -> Flow[P, R]:
    return Flow(fn, **options)
