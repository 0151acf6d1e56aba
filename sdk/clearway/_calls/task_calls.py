"""The ways to call a task, and their types: directly, submitted or mapped."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, ParamSpec, TypeVar, overload

from clearway._base.tracebacks import folded
from clearway._definition.base import TaskDefinition

if TYPE_CHECKING:
    from clearway._calls.upstream import Upstream
    from clearway.futures import AsyncTaskFuture, TaskFuture
    from clearway.states import State

P = ParamSpec("P")
R = TypeVar("R", covariant=True)  # noqa: PLC0105 - so that pyright takes a CoroutineType for a Coroutine
T = TypeVar("T")
# In the overloads below, ``NoReturn`` matches a function without a return annotation. Otherwise such a
# function would match the overloads for coroutine functions, which come before those for all others.


class TaskCalls(TaskDefinition, Generic[P, R]):
    """The calls of a task, and their types."""

    fn: Callable[P, R]

    @overload  # returns a state made by hand: the call returns the result in it
    def __call__(  # type: ignore[overload-overlap]  # with the last one, for calls with wait_for
        self: TaskCalls[P, State[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # as above, and with those for return_state
        self: TaskCalls[P, Coroutine[Any, Any, State[T]]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(
        self: TaskCalls[..., NoReturn],
        /,
        *args: Any,
        return_state: Literal[True],
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> State[Any]: ...
    @overload
    def __call__(
        self: TaskCalls[..., State[T]],
        /,
        *args: Any,
        return_state: Literal[True],
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> State[T]: ...
    @overload
    def __call__(
        self: TaskCalls[..., Coroutine[Any, Any, T]],
        /,
        *args: Any,
        return_state: Literal[True],
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, State[T]]: ...
    @overload
    def __call__(
        self,
        /,
        *args: Any,
        return_state: Literal[True],
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> State[R]: ...
    @overload
    def __call__(
        self,
        /,
        *args: Any,
        return_state: Literal[False] = False,
        wait_for: Iterable[Upstream] | None,
        **kwargs: Any,
    ) -> R: ...
    def __call__(  # type: ignore[misc]  # P lacks return_state and wait_for: see CallSignature
        self,
        /,
        *args: Any,
        return_state: bool = False,
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Run the task in the caller's flow run, and return its result.

        An async task in an async flow has to be awaited. Futures and states among the arguments, also within
        lists, dictionaries and dataclasses, are waited for and replaced by their results.

        Args:
            args: The function's arguments.
            return_state: Return the run's final state instead of its result or exception.
            wait_for: Futures and states that must complete first.
            kwargs: The function's keyword arguments.

        Raises:
            MissingContext: The caller is not in a flow.
            NestedTask: The caller is in a task.
            ParameterBindError: The arguments do not match the function's parameters.
            UpstreamTaskError: A run among the arguments did not complete, so the task was not run.
            Exception: The exception that the function raised.
        """
        from clearway._execution.task.calls import call_task  # noqa: PLC0415 - loaded with the first run

        try:
            return call_task(self, (args, kwargs), wait_for, return_state=return_state)
        except BaseException as error:
            folded(error)
            raise

    @overload
    def submit(
        self: TaskCalls[..., NoReturn],
        /,
        *args: Any,
        return_state: Literal[True],
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> State[Any]: ...
    @overload
    def submit(
        self: TaskCalls[..., NoReturn],
        /,
        *args: Any,
        return_state: Literal[False] = False,
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> TaskFuture[Any]: ...
    @overload
    def submit(
        self: TaskCalls[..., State[T]],
        /,
        *args: Any,
        return_state: Literal[True],
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> State[T]: ...
    @overload
    def submit(
        self: TaskCalls[..., State[T]],
        /,
        *args: Any,
        return_state: Literal[False] = False,
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> TaskFuture[T]: ...
    @overload
    def submit(
        self: TaskCalls[..., Coroutine[Any, Any, T]],
        /,
        *args: Any,
        return_state: Literal[True],
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, State[T]]: ...
    @overload
    def submit(
        self: TaskCalls[..., Coroutine[Any, Any, T]],
        /,
        *args: Any,
        return_state: Literal[False] = False,
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, AsyncTaskFuture[T]]: ...
    @overload
    def submit(
        self,
        /,
        *args: Any,
        return_state: Literal[True],
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> State[R]: ...
    @overload
    def submit(
        self,
        /,
        *args: Any,
        return_state: Literal[False] = False,
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> TaskFuture[R]: ...
    def submit(
        self,
        /,
        *args: Any,
        return_state: bool = False,
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Start the task in the caller's flow run, without waiting for it.

        A sync task runs on a thread, an async one on the flow's event loop (in a sync flow, on a loop in a
        thread beside it). The flow does not end before all runs that it submitted. The arguments are those of
        a call.

        Returns:
            A ``TaskFuture``; for an async task in an async flow, a coroutine that returns an
            ``AsyncTaskFuture``, as in ``future = await my_task.submit()``. With ``return_state``, the run's
            final state instead of the future.
        """
        from clearway._execution.task.calls import submit_task  # noqa: PLC0415 - as above

        try:
            return submit_task(self, (args, kwargs), wait_for, return_state=return_state)
        except BaseException as error:
            folded(error)
            raise

    @overload
    def map(
        self: TaskCalls[..., NoReturn],
        /,
        *args: Any,
        return_state: Literal[True],
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> list[State[Any]]: ...
    @overload
    def map(
        self: TaskCalls[..., NoReturn],
        /,
        *args: Any,
        return_state: Literal[False] = False,
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> list[TaskFuture[Any]]: ...
    @overload
    def map(
        self: TaskCalls[..., State[T]],
        /,
        *args: Any,
        return_state: Literal[True],
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> list[State[T]]: ...
    @overload
    def map(
        self: TaskCalls[..., State[T]],
        /,
        *args: Any,
        return_state: Literal[False] = False,
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> list[TaskFuture[T]]: ...
    @overload
    def map(
        self: TaskCalls[..., Coroutine[Any, Any, T]],
        /,
        *args: Any,
        return_state: Literal[True],
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, list[State[T]]]: ...
    @overload
    def map(
        self: TaskCalls[..., Coroutine[Any, Any, T]],
        /,
        *args: Any,
        return_state: Literal[False] = False,
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, list[AsyncTaskFuture[T]]]: ...
    @overload
    def map(
        self,
        /,
        *args: Any,
        return_state: Literal[True],
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> list[State[R]]: ...
    @overload
    def map(
        self,
        /,
        *args: Any,
        return_state: Literal[False] = False,
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> list[TaskFuture[R]]: ...
    def map(
        self,
        /,
        *args: Any,
        return_state: bool = False,
        wait_for: Iterable[Upstream] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Submit the task once for each element of its iterable arguments, which must be equally long.

        Strings, bytes and arguments wrapped in ``unmapped()`` are passed whole to every run. An argument that
        is a future is waited for, and its result is mapped over.

        Returns:
            A list of what ``submit`` returns; for an async task in an async flow, a coroutine that returns
            the list.

        Raises:
            NothingToMap: None of the arguments is an iterable.
            MappingLengthMismatch: The iterables are of different lengths.
        """
        from clearway._execution.task.calls import map_task  # noqa: PLC0415 - as above

        try:
            return map_task(self, (args, kwargs), wait_for, return_state=return_state)
        except BaseException as error:
            folded(error)
            raise
