"""Tasks: functions whose calls, within a flow, are orchestrated runs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar, overload

from clearway._base.texts import encodable
from clearway._calls.bound import Binding, BoundTask, unwrapped
from clearway._calls.task_calls import TaskCalls
from clearway._definition.hooks import TaskHook
from clearway._definition.options import (
    check_not_async_generator,
    checked_choice,
    checked_description,
    checked_expiration,
    checked_flag,
    checked_log_prints,
    checked_name,
    checked_retries,
    checked_timeout,
    checked_version,
)
from clearway._definition.policy import ResultStorage, checked_keeping
from clearway._definition.registry import note_task
from clearway._definition.retries import (
    RetryConditionFn,
    RetryDelays,
    checked_condition,
    checked_delays,
    checked_jitter,
    exponential_backoff,
)
from clearway._definition.run_names import RunName, checked_run_name
from clearway._definition.signature import CallSignature
from clearway.context import TaskRunContext, checked_tags, refreshes_cache

if TYPE_CHECKING:
    from clearway.hashing import task_input_hash

__all__ = ["Task", "exponential_backoff", "task", "task_input_hash"]

P = ParamSpec("P")
Q = ParamSpec("Q")
S = TypeVar("S")
R = TypeVar("R", covariant=True)  # noqa: PLC0105 - so that CoroutineType, as pyright says, is a Coroutine

CacheKeyFn = Callable[[TaskRunContext, dict[str, Any]], str | None]

_MAX_KEY = 1_024
_KEEP: Final[Any] = object()


class Task(TaskCalls[P, R]):
    """A function whose calls, within a flow, are orchestrated runs. Made by ``@task``.

    Attributes:
        fn: The function itself; ``my_task.fn(...)`` calls it without orchestration.
        name: The task's name.
        description: What it is for; by default the function's docstring.
        tags: Given to all its runs.
        version: As its author names it.
        cache_key_fn: Makes a run's cache key of its context and its arguments by parameter.
        cache_expiration: How long a result is served from the cache; None for ever.
        cache_single_flight: Whether a run waits for another one that is computing its cache key.
        refresh_cache: Whether its runs replace what the cache has; None for what the setting says.
        retries: How many times a failed run is tried again.
        retry_delay_seconds: How long it waits before each retry: a number, or a list of them, of which the
            last holds for all further retries.
        retry_jitter_factor: How far these delays are spread at random; None for not at all.
        retry_condition_fn: Says of a failed run whether it is tried again; None for always.
        timeout_seconds: How long its code may take; None for as long as it takes.
        persist_result: Whether its results are kept: True for must be, False for in memory only, None for
            where they can be.
        result_storage: Where its large results are kept, as it was given; None for where the settings say.
        keeping: These two, checked.
        log_prints: Whether ``print()`` in its code becomes log lines; None for what its flow does.
        task_run_name: How its runs are named: a template, or a function; None for its name and a number.
        hooks: What is called when a run enters a state, by option: ``on_running``, ``on_completion``,
            ``on_failure``.
        task_key: Identifies the task: a hash of its name, its function's qualified name and its tags.
        is_async: Whether the function is a coroutine function.
    """

    cache_key_fn: CacheKeyFn | None

    def __init__(
        self,
        fn: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        tags: Iterable[str] | None = None,
        version: str | None = None,
        cache_key_fn: CacheKeyFn | None = None,
        cache_expiration: timedelta | None = None,
        cache_single_flight: bool = True,
        refresh_cache: bool | None = None,
        retries: int = 0,
        retry_delay_seconds: float | RetryDelays = 0,
        retry_jitter_factor: float | None = None,
        retry_condition_fn: RetryConditionFn | None = None,
        timeout_seconds: float | None = None,
        persist_result: bool | None = None,
        result_storage: ResultStorage | None = None,
        log_prints: bool | None = None,
        task_run_name: RunName | None = None,
        on_completion: Iterable[TaskHook] | None = None,
        on_failure: Iterable[TaskHook] | None = None,
        on_running: Iterable[TaskHook] | None = None,
    ) -> None:
        """Make a task of a function; see ``task`` for the options.

        Raises:
            TypeError: ``fn`` cannot be called, or an option is of a wrong type.
            ValueError: An option's value is not allowed.
            ReservedArgument: A parameter has a name that calls of tasks take for themselves.
        """
        fn, self._binding = unwrapped(fn)
        if not callable(fn):
            raise TypeError(f"@task makes a task of a function, and was given {fn!r}")
        check_not_async_generator("task", fn)
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.name: str = checked_name(
            "task", getattr(fn, "__name__", type(fn).__name__) if name is None else name
        )
        owner = f"the task {self.name!r}"
        if cache_key_fn is not None and not callable(cache_key_fn):
            raise TypeError(
                f"cache_key_fn of {owner} is {cache_key_fn!r}; it must be a function of a context and a dict"
            )
        self.description = (
            inspect.getdoc(fn) if description is None else checked_description(owner, description)
        )
        self.tags = checked_tags(()) if tags is None else checked_tags(tags)
        self.version = checked_version(owner, version)
        self.cache_key_fn = cache_key_fn
        self.cache_expiration = checked_expiration(owner, cache_expiration)
        self.cache_single_flight = checked_flag("cache_single_flight", owner, cache_single_flight)
        self.refresh_cache = checked_choice("refresh_cache", owner, refresh_cache)
        self.retries = checked_retries(owner, retries)
        self._retry_delays = retry_delay_seconds
        self.retry_delay_seconds = checked_delays(owner, retry_delay_seconds, self.retries)
        self.retry_jitter_factor = checked_jitter(owner, retry_jitter_factor)
        self.retry_condition_fn = checked_condition(owner, retry_condition_fn)
        self.persist_result = persist_result
        self.result_storage = result_storage
        self.keeping = checked_keeping(owner, persist_result, result_storage)
        self.is_async = _is_async(fn)
        self.signature = CallSignature(fn, self.name)
        self.timeout_seconds = checked_timeout(owner, timeout_seconds)
        self.log_prints = checked_log_prints(owner, log_prints)
        self.task_run_name = checked_run_name("task_run_name", owner, task_run_name, self.signature)
        self._take_hooks({"on_completion": on_completion, "on_failure": on_failure, "on_running": on_running})

        note_task(self.name, fn)

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

    def with_options(
        self,
        *,
        name: str | None = _KEEP,
        description: str | None = _KEEP,
        tags: Iterable[str] | None = _KEEP,
        version: str | None = _KEEP,
        cache_key_fn: CacheKeyFn | None = _KEEP,
        cache_expiration: timedelta | None = _KEEP,
        cache_single_flight: bool = _KEEP,
        refresh_cache: bool | None = _KEEP,
        retries: int = _KEEP,
        retry_delay_seconds: float | RetryDelays = _KEEP,
        retry_jitter_factor: float | None = _KEEP,
        retry_condition_fn: RetryConditionFn | None = _KEEP,
        timeout_seconds: float | None = _KEEP,
        persist_result: bool | None = _KEEP,
        result_storage: ResultStorage | None = _KEEP,
        log_prints: bool | None = _KEEP,
        task_run_name: RunName | None = _KEEP,
        on_completion: Iterable[TaskHook] | None = _KEEP,
        on_failure: Iterable[TaskHook] | None = _KEEP,
        on_running: Iterable[TaskHook] | None = _KEEP,
    ) -> Task[P, R]:
        """Return a task of the same function with other options; those that are left out stay as they are."""
        given = {
            "name": name,
            "description": description,
            "tags": tags,
            "version": version,
            "cache_key_fn": cache_key_fn,
            "cache_expiration": cache_expiration,
            "cache_single_flight": cache_single_flight,
            "refresh_cache": refresh_cache,
            "retries": retries,
            "retry_delay_seconds": self._retry_delays
            if retry_delay_seconds is _KEEP
            else retry_delay_seconds,
            "retry_jitter_factor": retry_jitter_factor,
            "retry_condition_fn": retry_condition_fn,
            "timeout_seconds": timeout_seconds,
            "persist_result": persist_result,
            "result_storage": result_storage,
            "log_prints": log_prints,
            "task_run_name": task_run_name,
        }
        hooks = {"on_completion": on_completion, "on_failure": on_failure, "on_running": on_running}
        kept = {option: getattr(self, option) for option, value in given.items() if value is _KEEP}
        kept |= {event: self.hooks.get(event) for event, value in hooks.items() if value is _KEEP}
        changed = Task(self.fn, **{**given, **hooks, **kept})
        changed._binding = self._binding
        return changed

    def refreshes_cache(self) -> bool:
        """Return whether a run passes the cache by, and replaces what it has."""
        if self.refresh_cache is not None:
            return self.refresh_cache
        in_force = refreshes_cache()
        if in_force is not None:
            return in_force
        from clearway._base.settings import get_settings  # noqa: PLC0415 - not needed to define a task

        return get_settings().tasks_refresh_cache

    def checked_cache_key(self, key: object) -> str:
        """Return what ``cache_key_fn`` made, empty for no key.

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


def _is_async(fn: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004


@overload
def task(fn: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(
    *,
    name: str | None = None,
    description: str | None = None,
    tags: Iterable[str] | None = None,
    version: str | None = None,
    cache_key_fn: CacheKeyFn | None = None,
    cache_expiration: timedelta | None = None,
    cache_single_flight: bool = True,
    refresh_cache: bool | None = None,
    retries: int = 0,
    retry_delay_seconds: float | RetryDelays = 0,
    retry_jitter_factor: float | None = None,
    retry_condition_fn: RetryConditionFn | None = None,
    timeout_seconds: float | None = None,
    persist_result: bool | None = None,
    result_storage: ResultStorage | None = None,
    log_prints: bool | None = None,
    task_run_name: RunName | None = None,
    on_completion: Iterable[TaskHook] | None = None,
    on_failure: Iterable[TaskHook] | None = None,
    on_running: Iterable[TaskHook] | None = None,
) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a task of a function: ``@task``, or ``@task(retries=3)``.

    Args:
        fn: The function, sync or async.
        options: What the task is told:
            ``name``: by default the function's.
            ``description``: by default the function's docstring.
            ``tags``: given to all its runs; concurrency limits hold by them.
            ``version``: as its author names it.
            ``cache_key_fn``: makes a cache key of a ``TaskRunContext`` and the arguments by parameter; a run
            whose key was completed before has that result without running. None is no key. See
            ``task_input_hash``.
            ``cache_expiration``: a timedelta for which a result is served; by default for ever.
            ``cache_single_flight``: while another run is computing the same key, wherever that is, wait for
            its result rather than compute it too; by default True.
            ``refresh_cache``: run although the cache has the key, and replace what it has; by default as the
            setting ``CLEARWAY_TASKS_REFRESH_CACHE`` says, which is False.
            ``retries``: how many times a failed run is tried again.
            ``retry_delay_seconds``: how long it waits before each retry: a number of seconds; a list of them,
            of which the last holds for all further retries; or a function that makes a list of the number of
            retries, such as ``exponential_backoff(10)``.
            ``retry_jitter_factor``: spread the delays at random, each up to so much longer: with 0.5 up to
            half as long again. Their mean stays what it was.
            ``retry_condition_fn``: a function ``(task, task_run, state)``, sync or async, that says of a run
            that failed with a retry left whether it is tried again. Where it raises, it is not.
            ``timeout_seconds``: how long its code may take; a run that takes longer fails, named TimedOut,
            and is retried like others. Async code is cancelled. Sync code is interrupted between two of its
            instructions, and on the main thread in most blocking calls too; where it cannot be interrupted,
            the run ends without it 10 seconds later (``CLEARWAY_TIMEOUT_GRACE``), and it may still run.
            ``persist_result``: True keeps results for other processes and later runs, and fails a run whose
            result cannot be kept; False keeps them in the memory of this process only; by default they are
            kept, and one that cannot be is warned of.
            ``result_storage``: a directory or a URL for results that are too large to travel within the run's
            state; by default where the setting ``CLEARWAY_RESULT_STORAGE`` says.
            ``log_prints``: make INFO lines of the run of what its code prints; by default as its flow does.
            ``task_run_name``: how its runs are named: a template that names parameters, such as
            ``"load {path}"``, or a function without parameters, which may look at ``clearway.runtime``.
            ``on_completion``, ``on_failure``, ``on_running``: lists of functions ``(task, task_run, state)``,
            sync or async, called when a run has entered such a state: on_running at each attempt, on_failure
            when no retry is left. What they raise is logged and changes nothing.
    """
    if fn is not None:
        return Task(fn, **options)
    return functools.partial(_task_with, options)


def _task_with(options: dict[str, Any], fn: Callable[P, R]) -> Task[P, R]:
    return Task(fn, **options)


def __getattr__(name: str) -> Any:
    if name == "task_input_hash":
        from clearway.hashing import task_input_hash  # noqa: PLC0415 - here since users look for it here

        return task_input_hash
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
