"""Tasks: functions whose calls within a flow are orchestrated runs."""

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
    """A function whose calls within a flow are orchestrated runs; created by ``@task``.

    Each option of ``task`` is an attribute of the same name, except the hooks.

    Attributes:
        fn: The function itself; ``my_task.fn(...)`` calls it without orchestration.
        hooks: The lists of hooks by option: ``on_running``, ``on_completion``, ``on_failure``.
        keeping: The options ``persist_result`` and ``result_storage``, validated.
        task_key: Identifies the task: a hash of its name, its function's qualified name and its tags.
        is_async: True if calling the function returns a coroutine.
    """

    @TASK_OPTIONS.show
    def __init__(self, fn: Callable[P, R], **options: Unpack[TaskOptions]) -> None:
        """Create a task from a function; see ``task`` for the options.

        Raises:
            TypeError: ``fn`` is not callable, or an option is unknown or has the wrong type.
            ValueError: An option's value is not allowed.
            ReservedArgument: A parameter is named ``return_state`` or ``wait_for``.
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
        """Return the task bound as a method, whose first argument is the instance or the class."""
        if self._binding is Binding.CLASS:
            return BoundTask(self, owner or type(instance))
        if instance is None or self._binding is Binding.NOTHING:
            return self
        return BoundTask(self, instance)

    @functools.cached_property
    def task_key(self) -> str:
        """Identifies the task; the same for all its runs."""
        from clearway.hashing import stable_digest  # noqa: PLC0415 - not needed to define a task

        qualified = f"{getattr(self.fn, '__module__', '')}.{getattr(self.fn, '__qualname__', self.name)}"
        return stable_digest(self.name, qualified, *sorted(self.tags))[:32]

    def refreshes_cache(self) -> bool:
        """Return True if a run called now must ignore the cache and replace its entry."""
        if self.refresh_cache is not None:
            return self.refresh_cache
        in_force = refreshes_cache()
        if in_force is not None:
            return in_force
        from clearway._base.settings import get_settings  # noqa: PLC0415 - not needed to define a task

        return get_settings().tasks_refresh_cache

    def checked_cache_key(self, key: object) -> str:
        """Return the value of ``cache_key_fn`` after checking it; an empty string if it is None.

        Raises:
            TypeError: The key is neither a string nor None.
            ValueError: The key is longer than 1,024 characters.
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
                f"it may have {_MAX_KEY:,} at most, so return a hash of it instead"
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
    """Create a task from a function: ``@task``, or ``@task(retries=3)``.

    Args:
        fn: The function, sync or async.
        options: All are optional:
            ``name``: the task's name. Default: the function's name.
            ``description``: any text. Default: the function's docstring.
            ``tags``: tags of all its runs; concurrency limits apply to tags. Default: none.
            ``version``: any string, such as ``"1.2"``. Default: None.
            ``cache_key_fn``: a function that takes a ``TaskRunContext`` and a dict of the arguments by
            parameter name, and returns a cache key or None. If an earlier run with the same key completed,
            the new run gets its result instead of running; see ``task_input_hash``. Default: None, no cache.
            ``cache_expiration``: a timedelta after which a cached result expires. Default: None, never.
            ``cache_single_flight``: if another run, in any process, is already computing the same key, wait
            for its result instead of computing it too. Default: True.
            ``refresh_cache``: run even if the result is cached, and replace the cache entry. Default: the
            enclosing ``refresh_cache()`` block, or else the setting ``CLEARWAY_TASKS_REFRESH_CACHE``, which
            is False if unset.
            ``retries``: how often a failed run is retried. Default: 0.
            ``retry_delay_seconds``: the delay before each retry, in seconds: a number; a list, whose last
            number applies to all further retries; or a function that takes the number of retries and returns
            such a list, such as ``exponential_backoff(10)``. Default: 0.
            ``retry_jitter_factor``: lengthens each delay by a random fraction of up to this factor, so 0.5
            adds up to half the delay. Default: None, no jitter.
            ``retry_condition_fn``: a function ``(task, task_run, state)``, sync or async, called after a
            failure if retries are left; it returns True to retry. If it raises, the run is not retried.
            Default: None, every failure is retried.
            ``timeout_seconds``: how long the code of one attempt may take. A run that takes longer fails in a
            state named TimedOut, and is retried like any failure. Async code is cancelled. Sync code is
            interrupted between two Python instructions, and on the main thread in most blocking calls too; if
            it cannot be interrupted, the run ends 10 seconds later (``CLEARWAY_TIMEOUT_GRACE``), although the
            code may still be running. Default: None; None and 0 mean no limit.
            ``persist_result``: True stores results for other processes and later runs, and fails a run whose
            result cannot be stored; False keeps results in the memory of this process only. Default: None,
            results are stored, with a warning if one cannot be.
            ``result_storage``: a directory or URL for results too large to be kept in the run's state.
            Default: that of the flow, or else the setting ``CLEARWAY_RESULT_STORAGE``.
            ``log_prints``: whether ``print()`` in the task's code is logged as INFO lines of the run.
            Default: that of the flow.
            ``task_run_name``: names each run: a template with parameter names, such as ``"load {path}"``, or
            a function without parameters, which may read ``clearway.runtime``. Default: the task's name and a
            number.
            ``on_completion``, ``on_failure``, ``on_running``: hooks: lists of functions
            ``(task, task_run, state)``, sync or async, called after a run enters such a state. ``on_running``
            is called for each attempt, ``on_failure`` when no retry is left. An exception in a hook is logged
            and has no other effect.

    Raises:
        TypeError: ``fn`` is not callable, or an option is unknown or has the wrong type.
        ValueError: An option's value is not allowed.
        ReservedArgument: A parameter is named ``return_state`` or ``wait_for``.
    """
    if fn is not None:
        return Task(fn, **options)
    TASK_OPTIONS.completed(options)
    return functools.partial(_task_with, options)


def _task_with(options: TaskOptions, fn: Callable[P, R]) -> Task[P, R]:
    return Task(fn, **options)


def __getattr__(name: str) -> Any:
    if name == "task_input_hash":
        from clearway.hashing import task_input_hash  # noqa: PLC0415 - users look for it here too

        return task_input_hash
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
