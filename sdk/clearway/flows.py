"""Flows: functions whose calls are orchestrated runs, made of the runs of the tasks and flows they call."""

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
    """A function whose calls are orchestrated runs; created by ``@flow``.

    Each option of ``flow`` is an attribute of the same name, except the hooks and ``validate_parameters``.

    Attributes:
        fn: The function itself; ``my_flow.fn(...)`` calls it without orchestration.
        hooks: The lists of hooks by option: ``on_running``, ``on_completion``, ``on_failure``,
            ``on_cancellation``, ``on_crashed``.
        keeping: The option ``result_storage``, validated.
        should_validate_parameters: True if arguments are checked against, and converted to, the annotations.
        is_async: True if calling the function returns a coroutine.
    """

    fn: Callable[P, R]

    @FLOW_OPTIONS.show
    def __init__(self, fn: Callable[P, R], **options: Unpack[FlowOptions]) -> None:
        """Create a flow from a function; see ``flow`` for the options.

        Raises:
            TypeError: ``fn`` is not callable, or an option is unknown or has the wrong type.
            ValueError: An option's value is not allowed.
            ReservedArgument: A parameter is named ``return_state`` or ``wait_for``.
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
        """Return the flow bound as a method, whose first argument is the instance or the class."""
        if self._binding is Binding.CLASS:
            return BoundFlow(self, owner or type(instance))
        if instance is None or self._binding is Binding.NOTHING:
            return self
        return BoundFlow(self, instance)

    def validate_parameters(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments converted to the function's annotations.

        Every call of the flow does this, unless the flow has ``validate_parameters=False``.

        Args:
            parameters: The arguments by parameter name. Default values are not checked.

        Raises:
            ParameterTypeError: An argument does not fit its annotation and cannot be converted to it.
        """
        return self._rules.applied(parameters)

    def stand_in(self, fn: Callable[..., Any]) -> Flow[..., Any]:
        """Return a flow of another function with this flow's name, description and version only."""
        return Flow(fn, name=self.name, description=self.description, version=self.version)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_rules"}

    @functools.cached_property
    def _rules(self) -> ParameterRules:
        from clearway._definition.parameters import ParameterRules  # noqa: PLC0415 - loaded with the first run

        return ParameterRules(self.fn, f"the flow {self.name!r}")

    @overload  # a function that returns a state made by hand: the call returns the result in that state
    def __call__(  # type: ignore[overload-overlap]  # with the last one, for calls that give wait_for
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
        """Run the flow and return its result.

        An async flow returns a coroutine to await, except if it is called in a sync flow.

        What the function returns decides how the run ends:

        - a value: the run completes with that value;
        - a future or state of a run, or a list of them: the run completes if all of these completed, with
          their states as its result, and fails otherwise;
        - a state made by hand, such as ``Failed(message=...)``: the run ends in that state;
        - None: the run completes if all its task runs and subflows completed, and fails otherwise.

        Args:
            args: The function's positional arguments.
            return_state: If True, return the run's final state instead of its result, and do not raise if the
                run failed. Default False.
            wait_for: In a subflow call, futures and states that must complete before the subflow starts.
            kwargs: The function's keyword arguments.

        Raises:
            ParameterBindError: The arguments do not fit the function.
            ParameterTypeError: An argument does not fit its annotation; the run fails before the function is
                called.
            NestedTask: The caller is in a task.
            ServerUnavailable: The service cannot be reached.
            Exception: Whatever the function raised, unchanged.
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
    """Create a flow from a function: ``@flow``, or ``@flow(name="nightly")``.

    Args:
        fn: The function, sync or async.
        options: All are optional:
            ``name``: the flow's name. Default: the function's name.
            ``description``: any text. Default: the function's docstring.
            ``version``: any string, such as ``"1.2"``. Default: None.
            ``retries``: how often a failed run is retried; task runs that completed are not run again.
            Default: 0.
            ``retry_delay_seconds``: the delay before each retry, in seconds: a number; a list, whose last
            number applies to all further retries; or a function that takes the number of retries and returns
            such a list, such as ``exponential_backoff(10)``. Default: 0.
            ``retry_jitter_factor``: lengthens each delay by a random fraction of up to this factor, so 0.5
            adds up to half the delay. Default: None, no jitter.
            ``timeout_seconds``: how long one attempt may take, including its tasks. A run that takes longer
            fails in a state named TimedOut, and its unfinished tasks and subflows are stopped. Async code is
            cancelled; sync code is interrupted at once on the main thread, and on other threads when it next
            calls or waits for a task or flow. Default: None; None and 0 mean no limit.
            ``result_storage``: a directory or URL for results too large to be kept in the run's state, those
            of its tasks and subflows included; a task's own option takes precedence. Default: that of the
            parent flow, or else the setting ``CLEARWAY_RESULT_STORAGE``.
            ``log_prints``: whether ``print()`` in the flow's code is logged as INFO lines of the run; it also
            applies to tasks that do not set it. Default: that of the parent flow, or else the setting
            ``CLEARWAY_LOGGING_LOG_PRINTS``.
            ``flow_run_name``: names each run: a template with parameter names, such as ``"load {day}"``, or a
            function without parameters, which may read ``clearway.runtime``. Default: two random words.
            ``validate_parameters``: whether arguments are checked against the function's annotations, and
            converted if that loses no information. Default: True.
            ``task_runner``: the task runner, an instance or a class, that executes submitted task runs; it
            does not apply to subflows. Default: ``ConcurrentTaskRunner``.
            ``on_completion``, ``on_failure``, ``on_cancellation``, ``on_crashed``, ``on_running``: hooks:
            lists of functions ``(flow, flow_run, state)``, sync or async, called after a run enters such a
            state. ``on_running`` is called for each attempt, ``on_failure`` when no retry is left, and
            ``on_crashed`` if the run was interrupted but its process is alive. An exception in a hook is
            logged and has no other effect.

    Raises:
        TypeError: ``fn`` is not callable, or an option is unknown or has the wrong type.
        ValueError: An option's value is not allowed.
        ReservedArgument: A parameter is named ``return_state`` or ``wait_for``.
    """
    if fn is not None:
        return Flow(fn, **options)
    FLOW_OPTIONS.completed(options)
    return functools.partial(_flow_with, options)


def _flow_with(options: FlowOptions, fn: Callable[P, R]) -> Flow[P, R]:
    return Flow(fn, **options)
