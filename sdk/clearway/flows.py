"""Flows: functions whose calls are orchestrated runs, with the runs of the tasks and flows that they call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NoReturn, ParamSpec, TypeVar, overload

from clearway._base.tracebacks import folded
from clearway._definition.base import FlowDefinition
from clearway._definition.hooks import FlowHook
from clearway._definition.options import (
    check_not_async_generator,
    checked_description,
    checked_flag,
    checked_log_prints,
    checked_name,
    checked_retries,
    checked_timeout,
    checked_version,
)
from clearway._definition.policy import ResultStorage, checked_keeping
from clearway._definition.retries import RetryDelays, checked_delays, checked_jitter
from clearway._definition.run_names import RunName, checked_run_name
from clearway._definition.signature import CallSignature
from clearway.task_runners import checked_task_runner

if TYPE_CHECKING:
    from clearway._calls.upstream import Upstream
    from clearway._definition.parameters import ParameterRules
    from clearway.states import State
    from clearway.task_runners import TaskRunner

__all__ = ["Flow", "flow"]

P = ParamSpec("P")
R = TypeVar("R", covariant=True)  # noqa: PLC0105 - so that CoroutineType, as pyright says, is a Coroutine
T = TypeVar("T")
# In the overloads below, ``NoReturn`` matches a function whose result is not annotated; see ``_task_calls``.

_KEEP: Final[Any] = object()
_ATTRIBUTES: Final = {
    "validate_parameters": "should_validate_parameters"
}  # where it is not the option's name


class Flow(FlowDefinition, Generic[P, R]):
    """A function whose calls are orchestrated runs. Made by ``@flow``.

    Attributes:
        fn: The function itself.
        name: The flow's name.
        description: What it is for; by default the function's docstring.
        version: As its author names it.
        retries: How many times a failed run is tried again.
        retry_delay_seconds: How long it waits before each retry: a number, or a list of them, of which the
            last applies to all further retries.
        retry_jitter_factor: How far these delays are spread at random; None for not at all.
        timeout_seconds: How long its code may take; None for as long as it takes.
        result_storage: Where large results of it and its tasks are kept, as it was given; None for where its
            parent or the settings say.
        log_prints: Whether ``print()`` in its code becomes log lines; None for what its parent or the setting
            ``CLEARWAY_LOGGING_LOG_PRINTS`` says.
        flow_run_name: How its runs are named: a template, or a function; None for two words.
        hooks: What is called when a run enters a state, by option: ``on_running``, ``on_completion``,
            ``on_failure``, ``on_cancellation``, ``on_crashed``.
        should_validate_parameters: Whether arguments are checked and converted by the annotations.
        task_runner: Where the code of its submitted task runs is executed.
        is_async: Whether the function is a coroutine function.
    """

    fn: Callable[P, R]

    def __init__(
        self,
        fn: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        version: str | None = None,
        retries: int = 0,
        retry_delay_seconds: float | RetryDelays = 0,
        retry_jitter_factor: float | None = None,
        timeout_seconds: float | None = None,
        result_storage: ResultStorage | None = None,
        log_prints: bool | None = None,
        flow_run_name: RunName | None = None,
        validate_parameters: bool = True,
        task_runner: TaskRunner | type[TaskRunner] | None = None,
        on_completion: Iterable[FlowHook] | None = None,
        on_failure: Iterable[FlowHook] | None = None,
        on_cancellation: Iterable[FlowHook] | None = None,
        on_crashed: Iterable[FlowHook] | None = None,
        on_running: Iterable[FlowHook] | None = None,
    ) -> None:
        """Make a flow of a function; see ``flow`` for the options.

        Raises:
            TypeError: ``fn`` cannot be called, or an option is of a wrong type.
            ValueError: An option's value is not allowed.
            ReservedArgument: A parameter has a name that calls of flows take for themselves.
        """
        if not callable(fn):
            raise TypeError(f"@flow makes a flow of a function, and was given {fn!r}")
        check_not_async_generator("flow", fn)
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.name: str = checked_name(
            "flow", getattr(fn, "__name__", type(fn).__name__) if name is None else name
        )
        owner = f"the flow {self.name!r}"
        self.description = (
            inspect.getdoc(fn) if description is None else checked_description(owner, description)
        )
        self.version: str | None = checked_version(owner, version)
        self.retries = checked_retries(owner, retries)
        self._retry_delays = retry_delay_seconds
        self.retry_delay_seconds = checked_delays(owner, retry_delay_seconds, self.retries)
        self.retry_jitter_factor = checked_jitter(owner, retry_jitter_factor)
        self.should_validate_parameters = checked_flag("validate_parameters", owner, validate_parameters)
        self.task_runner = checked_task_runner(owner, task_runner)
        self.is_async = inspect.iscoroutinefunction(fn)
        self.signature = CallSignature(fn, self.name)
        self.timeout_seconds = checked_timeout(owner, timeout_seconds)
        self.result_storage = result_storage
        self.keeping = checked_keeping(owner, None, result_storage)
        self.log_prints = checked_log_prints(owner, log_prints)
        self.flow_run_name = checked_run_name("flow_run_name", owner, flow_run_name, self.signature)
        self._take_hooks(
            {
                "on_completion": on_completion,
                "on_failure": on_failure,
                "on_cancellation": on_cancellation,
                "on_crashed": on_crashed,
                "on_running": on_running,
            }
        )

    def with_options(
        self,
        *,
        name: str | None = _KEEP,
        description: str | None = _KEEP,
        version: str | None = _KEEP,
        retries: int = _KEEP,
        retry_delay_seconds: float | RetryDelays = _KEEP,
        retry_jitter_factor: float | None = _KEEP,
        timeout_seconds: float | None = _KEEP,
        result_storage: ResultStorage | None = _KEEP,
        log_prints: bool | None = _KEEP,
        flow_run_name: RunName | None = _KEEP,
        validate_parameters: bool = _KEEP,
        task_runner: TaskRunner | type[TaskRunner] | None = _KEEP,
        on_completion: Iterable[FlowHook] | None = _KEEP,
        on_failure: Iterable[FlowHook] | None = _KEEP,
        on_cancellation: Iterable[FlowHook] | None = _KEEP,
        on_crashed: Iterable[FlowHook] | None = _KEEP,
        on_running: Iterable[FlowHook] | None = _KEEP,
    ) -> Flow[P, R]:
        """Return a flow of the same function with other options; those that are left out stay as they are."""
        given = {
            "name": name,
            "description": description,
            "version": version,
            "retries": retries,
            "retry_delay_seconds": self._retry_delays
            if retry_delay_seconds is _KEEP
            else retry_delay_seconds,
            "retry_jitter_factor": retry_jitter_factor,
            "timeout_seconds": timeout_seconds,
            "result_storage": result_storage,
            "log_prints": log_prints,
            "flow_run_name": flow_run_name,
            "validate_parameters": validate_parameters,
            "task_runner": task_runner,
        }
        hooks = {
            "on_completion": on_completion,
            "on_failure": on_failure,
            "on_cancellation": on_cancellation,
            "on_crashed": on_crashed,
            "on_running": on_running,
        }
        kept = {
            option: getattr(self, _ATTRIBUTES.get(option, option))
            for option, value in given.items()
            if value is _KEEP
        }
        kept |= {event: self.hooks.get(event) for event, value in hooks.items() if value is _KEEP}
        return Flow(self.fn, **{**given, **hooks, **kept})

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

    @functools.cached_property
    def _rules(self) -> ParameterRules:
        from clearway._definition.parameters import ParameterRules  # noqa: PLC0415 - loaded with the first run

        return ParameterRules(self.fn, f"the flow {self.name!r}")

    @overload  # what returns a state made by hand, whose call returns the result that is in it
    def __call__(  # type: ignore[overload-overlap]  # with the last one, for who gives wait_for
        self: Flow[P, State[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # as above, and with those for return_state
        self: Flow[P, Coroutine[Any, Any, State[T]]], *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(
        self: Flow[..., NoReturn], *args: Any, return_state: Literal[True], **kwargs: Any
    ) -> State[Any]: ...
    @overload
    def __call__(
        self: Flow[..., State[T]],
        *args: Any,
        return_state: Literal[True],
        **kwargs: Any,
    ) -> State[T]: ...
    @overload
    def __call__(
        self: Flow[..., Coroutine[Any, Any, T]], *args: Any, return_state: Literal[True], **kwargs: Any
    ) -> Coroutine[Any, Any, State[T]]: ...
    @overload
    def __call__(self, *args: Any, return_state: Literal[True], **kwargs: Any) -> State[R]: ...
    @overload
    def __call__(
        self,
        *args: Any,
        return_state: Literal[False] = False,
        wait_for: Iterable[Upstream] | None,
        **kwargs: Any,
    ) -> R: ...
    def __call__(  # type: ignore[misc]  # P has no return_state and no wait_for: see CallSignature
        self,
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
        except Exception as error:
            folded(error)
            raise

    def __repr__(self) -> str:
        return f"<Flow {self.name!r}>"


@overload
def flow(fn: Callable[P, R], /) -> Flow[P, R]: ...
@overload
def flow(
    *,
    name: str | None = None,
    description: str | None = None,
    version: str | None = None,
    retries: int = 0,
    retry_delay_seconds: float | RetryDelays = 0,
    retry_jitter_factor: float | None = None,
    timeout_seconds: float | None = None,
    result_storage: ResultStorage | None = None,
    log_prints: bool | None = None,
    flow_run_name: RunName | None = None,
    validate_parameters: bool = True,
    task_runner: TaskRunner | type[TaskRunner] | None = None,
    on_completion: Iterable[FlowHook] | None = None,
    on_failure: Iterable[FlowHook] | None = None,
    on_cancellation: Iterable[FlowHook] | None = None,
    on_crashed: Iterable[FlowHook] | None = None,
    on_running: Iterable[FlowHook] | None = None,
) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
def flow(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a flow of a function: ``@flow``, or ``@flow(name="nightly")``.

    Args:
        fn: The function, sync or async.
        options: What the flow is told:
            ``name``: by default the function's.
            ``description``: by default the function's docstring.
            ``version``: as its author names it.
            ``retries``: how many times a failed run is tried again; task runs that completed are not run
            again.
            ``retry_delay_seconds``: how long it waits before each retry: a number of seconds; a list of them,
            of which the last applies to all further retries; or a function that returns a list for a number
            of retries, such as ``exponential_backoff(10)``.
            ``retry_jitter_factor``: spread the delays at random, each up to so much longer: with 0.5 up to
            half as long again. Their mean stays what it was.
            ``timeout_seconds``: how long its code may take, its tasks included; a run that takes longer
            fails, named TimedOut, and what it started is ended. Async code is cancelled. Sync code is
            interrupted on the main thread; on others, where it next calls or waits for a task or flow.
            ``result_storage``: a directory or a URL for results of it, its tasks and its subflows that are
            too large to travel within the run's state; a task's own goes before it. By default where its
            parent or the settings say.
            ``log_prints``: make INFO lines of the run of what its code prints, and that of its tasks that do
            not say otherwise; by default as its parent does, or the setting ``CLEARWAY_LOGGING_LOG_PRINTS``.
            ``flow_run_name``: how its runs are named: a template that names parameters, such as
            ``"load {day}"``, or a function without parameters, which may look at ``clearway.runtime``.
            ``on_completion``, ``on_failure``, ``on_cancellation``, ``on_crashed``, ``on_running``: lists of
            functions ``(flow, flow_run, state)``, sync or async, called when a run has entered such a state:
            on_running at each attempt, on_failure when no retry is left, on_crashed where the run was
            interrupted and its process lives. What they raise is logged and changes nothing.
            ``validate_parameters``: whether arguments are checked, and converted where that loses nothing,
            by the annotations of the function; by default they are.
            ``task_runner``: a task runner, or the class of one: it executes the code of submitted task runs;
            by default ``ConcurrentTaskRunner``, for subflows too.
    """
    if fn is not None:
        return Flow(fn, **options)
    return functools.partial(_flow_with, options)


def _flow_with(options: dict[str, Any], fn: Callable[P, R]) -> Flow[P, R]:
    return Flow(fn, **options)
