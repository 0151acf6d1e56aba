"""Tasks: functions whose calls, within a flow, are orchestrated runs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar, Unpack, overload

from clearway._base.texts import encodable
from clearway._calls.bound import BoundTask
from clearway._calls.pickled import Pickled
from clearway._calls.task_calls import TaskCalls
from clearway._definition.base import TASK_OPTIONS, CacheKeyFn, TaskOptions
from clearway._definition.binding import Binding
from clearway._definition.option_checks import checked_choice, checked_expiration, checked_flag
from clearway._definition.registry import note_task
from clearway._definition.retries import (
    checked_condition,
    exponential_backoff,
)
from clearway._definition.run_names import checked_run_name
from clearway.context import checked_tags, refreshes_cache

if TYPE_CHECKING:
    from clearway.hashing import task_input_hash

__all__ = ["CacheKeyFn", "Task", "exponential_backoff", "task", "task_input_hash"]

P = ParamSpec("P")
Q = ParamSpec("Q")
S = TypeVar("S")
R = TypeVar("R", covariant=True)  # noqa: PLC0105 - so that CoroutineType, as pyright says, is a Coroutine

_MAX_KEY: Final = 1_024


class Task(Pickled, TaskCalls[P, R]):
    """A function whose calls, within a flow, are orchestrated runs. Made by ``@task``.

    Each option of ``task`` is an attribute of the same name, but for the hooks.

    Attributes:
        fn: The function itself; ``my_task.fn(...)`` calls it without orchestration.
        hooks: The functions called when a run enters a state, by option: ``on_running``, ``on_completion``,
            ``on_failure``.
        keeping: ``persist_result`` and ``result_storage``, checked.
        task_key: Identifies the task: a hash of its name, its function's qualified name and its tags.
        is_async: Whether calling the function makes a coroutine.
    """

    @TASK_OPTIONS.show
    def __init__(self, fn: Callable[P, R], **options: Unpack[TaskOptions]) -> None:
        """Make a task of a function; see ``task`` for the options.

        Raises:
            TypeError: ``fn`` cannot be called, there is no such option, or one is of a wrong type.
            ValueError: An option's value is not allowed.
            ReservedArgument: A parameter has a name that calls of tasks take for themselves.
        """
        given = TASK_OPTIONS.completed(options)
        self._take_function(fn, given["name"])
        owner = f"the task {self.name!r}"
        key_fn, tags = given["cache_key_fn"], given["tags"]
        if key_fn is not None and not callable(key_fn):
            raise TypeError(
                f"cache_key_fn of {owner} is {key_fn!r}; it must be a function of a context and a dict"
            )
        self._take_options(owner, given)
        self.tags = checked_tags(()) if tags is None else checked_tags(tags)
        self.cache_key_fn = key_fn
        self.cache_expiration = checked_expiration(owner, given["cache_expiration"])
        self.cache_single_flight = checked_flag("cache_single_flight", owner, given["cache_single_flight"])
        self.refresh_cache = checked_choice("refresh_cache", owner, given["refresh_cache"])
        self.retry_condition_fn = checked_condition(owner, given["retry_condition_fn"])
        self.persist_result = given["persist_result"]
        self.task_run_name = checked_run_name("task_run_name", owner, given["task_run_name"], self.signature)
        note_task(self.name, self.fn)

    @overload
    def __get__(self, instance: None, owner: type) -> Task[P, R]: ...
    @overload
    def __get__(
        self: Task[Concatenate[S, Q], R], instance: S, owner: type[S] | None = None
    ) -> Task[Q, R]: ...
    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """Return the task as a method: its calls get the instance, or the class, as their first argument."""
        if self._binding is Binding.CLASS:
            return BoundTask(self, owner or type(instance))
        if instance is None or self._binding is Binding.NOTHING:
            return self
        return BoundTask(self, instance)

    @functools.cached_property
    def task_key(self) -> str:
        """What identifies the task: equal for all its runs."""
        from clearway.hashing import stable_digest  # noqa: PLC0415 - not needed to define a task

        qualified = f"{getattr(self.fn, '__module__', '')}.{getattr(self.fn, '__qualname__', self.name)}"
        return stable_digest(self.name, qualified, *sorted(self.tags))[:32]

    def refreshes_cache(self) -> bool:
        """Return whether a run ignores the cache and replaces its entry."""
        if self.refresh_cache is not None:
            return self.refresh_cache
        in_force = refreshes_cache()
        if in_force is not None:
            return in_force
        from clearway._base.settings import get_settings  # noqa: PLC0415 - not needed to define a task

        return get_settings().tasks_refresh_cache

    def checked_cache_key(self, key: object) -> str:
        """Return the key that ``cache_key_fn`` returned; empty for no key.

        Raises:
            TypeError: It is neither a string nor None.
            ValueError: It is too long.
        """
        if key is None:
            return ""
        if not isinstance(key, str):
            raise TypeError(
                f"cache_key_fn of the task {self.name!r} returned {key!r}; "
                "it must return a string, or None for no key"
            )
        if len(key) > _MAX_KEY:
            raise ValueError(
                f"cache_key_fn of the task {self.name!r} returned a key of {len(key):,} characters; "
                f"it may have {_MAX_KEY:,} at most, so return a hash of what it is made of"
            )
        return encodable(key)

    def __repr__(self) -> str:
        return f"<Task {self.name!r}>"


@overload
def task(fn: Callable[P, R], /, **options: Unpack[TaskOptions]) -> Task[P, R]: ...
@overload
def task(**options: Unpack[TaskOptions]) -> Callable[[Callable[P, R]], Task[P, R]]: ...
@TASK_OPTIONS.show
def task(fn: Callable[..., Any] | None = None, /, **options: Unpack[TaskOptions]) -> Any:
    """Make a task of a function: ``@task``, or ``@task(retries=3)``.

    Args:
        fn: The function, sync or async.
        options: Each has a default:
            ``name``: by default the function's.
            ``description``: by default the function's docstring.
            ``tags``: given to all its runs; concurrency limits apply to tags.
            ``version``: any string, such as ``"1.2"``.
            ``cache_key_fn``: makes a cache key of a ``TaskRunContext`` and the arguments by parameter; a run
            whose key an earlier run completed has that run's result and does not run. None is no key. See
            ``task_input_hash``.
            ``cache_expiration``: a timedelta for which a result is served; by default for ever.
            ``cache_single_flight``: while another run, in any process, computes the same key, wait for its
            result rather than compute it too; by default True.
            ``refresh_cache``: run although the cache has the key, and replace the entry; by default as the
            setting ``CLEARWAY_TASKS_REFRESH_CACHE`` says, which is False.
            ``retries``: how many times a failed run is tried again; by default 0.
            ``retry_delay_seconds``: how long it waits before each retry: a number of seconds; a list of them,
            of which the last holds for all further retries; or a function that takes the number of retries
            and returns such a list, such as ``exponential_backoff(10)``. By default 0.
            ``retry_jitter_factor``: lengthens each delay at random by up to this part of it: with 0.5 by up
            to half. By default delays are not spread.
            ``retry_condition_fn``: a function ``(task, task_run, state)``, sync or async, that returns
            whether a failed run with a retry left is tried again; if it raises, the run is not.
            ``timeout_seconds``: how long its code may take; 0 and None, the default, are no limit. A run that
            takes longer fails, named TimedOut, and is retried like others. Async code is cancelled. Sync code
            is interrupted between two of its instructions, and on the main thread in most blocking calls too;
            if it cannot be interrupted, the run ends without it 10 seconds later
            (``CLEARWAY_TIMEOUT_GRACE``), and the code may still run.
            ``persist_result``: True stores results for other processes and later runs, and fails a run whose
            result cannot be stored; False keeps them in the memory of this process; by default they are
            stored, with a warning for one that cannot be.
            ``result_storage``: a directory or a URL for results that are too large to travel within the run's
            state; by default that of the flow or the setting ``CLEARWAY_RESULT_STORAGE``.
            ``log_prints``: log what its code prints as INFO lines of the run; by default as its flow does.
            ``task_run_name``: the name of its runs: a template that names parameters, such as
            ``"load {path}"``, or a function without parameters, which may read ``clearway.runtime``.
            ``on_completion``, ``on_failure``, ``on_running``: lists of functions ``(task, task_run, state)``,
            sync or async, called when a run has entered such a state: on_running at each attempt, on_failure
            when no retry is left. What they raise is logged and changes nothing.

    Raises:
        TypeError: ``fn`` cannot be called, there is no such option, or one is of a wrong type.
        ValueError: An option's value is not allowed.
        ReservedArgument: A parameter has a name that calls of tasks take for themselves.
    """
    if fn is not None:
        return Task(fn, **options)
    TASK_OPTIONS.completed(options)
    return functools.partial(_task_with, options)


def _task_with(options: TaskOptions, fn: Callable[P, R]) -> Task[P, R]:
    return Task(fn, **options)


def __getattr__(name: str) -> Any:
    if name == "task_input_hash":
        from clearway.hashing import task_input_hash  # noqa: PLC0415 - users look for it here

        return task_input_hash
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
