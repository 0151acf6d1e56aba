"""Base classes of flows and tasks: a function with its options, as the engine uses them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypedDict, Unpack

from clearway._base.clock import now
from clearway._definition.binding import Binding, unwrapped
from clearway._definition.functions import check_not_async_generator, is_async_callable
from clearway._definition.hooks import FlowHook, FlowHooks, Hooked, TaskHook, TaskHooks
from clearway._definition.option_checks import (
    checked_description,
    checked_log_prints,
    checked_name,
    checked_retries,
    checked_timeout,
    checked_version,
)
from clearway._definition.option_table import OptionTable
from clearway._definition.policy import checked_keeping
from clearway._definition.retries import checked_delays, checked_jitter
from clearway._definition.signature import CallSignature

if TYPE_CHECKING:
    from typing import Self

    from clearway._definition.policy import Keeping, ResultStorage
    from clearway._definition.retries import RetryConditionFn, RetryDelays
    from clearway._definition.run_names import RunName
    from clearway._definition.task_runner import TaskRunner


class Definition(Hooked):
    """The base of flows and tasks; see ``Flow`` and ``Task`` for the attributes."""

    _table: ClassVar[OptionTable]
    # The attributes of options that are stored under another name.
    _attributes: ClassVar[Mapping[str, str]] = {"retry_delay_seconds": "_retry_delays"}

    fn: Callable[..., Any]
    description: str | None
    version: str | None
    retries: int
    retry_delay_seconds: float | list[float]
    retry_jitter_factor: float | None
    timeout_seconds: float | None
    result_storage: ResultStorage | None
    keeping: Keeping
    log_prints: bool | None
    is_async: bool
    signature: CallSignature
    _binding: Binding

    def __clearway_parts__(self) -> list[Any]:
        """Return what represents the flow or task in a cache key, if it is passed as an argument."""
        return [self.name, self.fn, sorted(getattr(self, "tags", ()))]

    def _take_function(self, fn: Callable[..., Any], name: str | None) -> None:
        """Set the function, the name, and the attributes that are copied from the function.

        Raises:
            TypeError: ``fn`` is not callable, or is an async generator function; or ``name`` is not a string.
            ValueError: The name is empty or too long.
            ReservedArgument: A parameter is named ``return_state`` or ``wait_for``.
        """
        fn, binding = unwrapped(fn)
        if not callable(fn):
            raise TypeError(f"@{self.kind} must be given a function, not {fn!r}")
        check_not_async_generator(self.kind, fn)
        looks_like: Any = self
        functools.update_wrapper(looks_like, fn, updated=())
        if not isinstance(fn, type):  # such as the ``register`` of a singledispatch function
            attributes = vars(fn) if hasattr(fn, "__dict__") else {}
            vars(self).update(
                (key, value) for key, value in attributes.items() if not hasattr(type(self), key)
            )
            self.__wrapped__ = fn
        self._binding = binding
        self.fn = fn
        self.is_async = is_async_callable(fn)
        self.name = checked_name(
            self.kind, getattr(fn, "__name__", type(fn).__name__) if name is None else name
        )
        self.signature = CallSignature(fn, self.name)

    def _take_options(self, owner: str, given: Mapping[str, Any]) -> None:
        """Check and set the options that flows and tasks share.

        Raises:
            TypeError: An option has the wrong type.
            ValueError: An option's value is not allowed.
        """
        description, storage = given["description"], given["result_storage"]
        self.description = (
            inspect.getdoc(self.fn) if description is None else checked_description(owner, description)
        )
        self.version = checked_version(owner, given["version"])
        self.retries = checked_retries(owner, given["retries"])
        self._retry_delays = given["retry_delay_seconds"]
        self.retry_delay_seconds = checked_delays(owner, self._retry_delays, self.retries)
        self.retry_jitter_factor = checked_jitter(owner, given["retry_jitter_factor"])
        self.timeout_seconds = checked_timeout(owner, given["timeout_seconds"])
        self.result_storage = storage
        self.keeping = checked_keeping(owner, given.get("persist_result"), storage)
        self.log_prints = checked_log_prints(owner, given["log_prints"])
        self._take_hooks({option: given[option] for option in given if option.startswith("on_")})

    def _changed(self, options: Mapping[str, Any]) -> Self:
        """Return a flow or task of the same function with other options."""
        kept = {option: self._option(option) for option in self._table.defaults if option not in options}
        kind: Any = type(self)
        changed: Self = kind(self.fn, **kept, **options)
        changed._binding = self._binding
        return changed

    def _option(self, option: str) -> Any:
        if option.startswith("on_"):
            return self.hooks.get(option)
        return getattr(self, self._attributes.get(option, option))


class FlowOptions(TypedDict, total=False):
    """The options of ``@flow``; see ``flow`` for what they mean."""

    name: str | None
    description: str | None
    version: str | None
    retries: int
    retry_delay_seconds: float | RetryDelays
    retry_jitter_factor: float | None
    timeout_seconds: float | None
    result_storage: ResultStorage | None
    log_prints: bool | None
    flow_run_name: RunName | None
    validate_parameters: bool
    task_runner: TaskRunner | type[TaskRunner] | None
    on_completion: Iterable[FlowHook] | None
    on_failure: Iterable[FlowHook] | None
    on_cancellation: Iterable[FlowHook] | None
    on_crashed: Iterable[FlowHook] | None
    on_running: Iterable[FlowHook] | None


FLOW_OPTIONS = OptionTable("@flow", FlowOptions, retries=0, retry_delay_seconds=0, validate_parameters=True)


class FlowDefinition(Definition, FlowHooks):
    """A flow as the engine sees it; the base of ``Flow``."""

    _table = FLOW_OPTIONS
    _attributes: ClassVar[Mapping[str, str]] = {
        "retry_delay_seconds": "_retry_delays",
        "validate_parameters": "should_validate_parameters",
    }

    flow_run_name: RunName | None
    should_validate_parameters: bool
    task_runner: TaskRunner

    @FLOW_OPTIONS.show_changes
    def with_options(self, **options: Unpack[FlowOptions]) -> Self:
        """Return a copy of this flow with the given options changed; see ``flow`` for the options.

        Raises:
            TypeError: An option is unknown or has the wrong type.
            ValueError: An option's value is not allowed.
        """
        return self._changed(options)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run the flow; see ``Flow.__call__``."""
        raise NotImplementedError

    def validate_parameters(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments converted to the function's annotations; see ``Flow.validate_parameters``."""
        raise NotImplementedError

    def stand_in(self, fn: Callable[..., Any]) -> FlowDefinition:
        """Return a flow of another function with this flow's name; see ``Flow.stand_in``."""
        raise NotImplementedError


class TaskOptions(TypedDict, total=False):
    """The options of ``@task``; see ``task`` for what they mean."""

    name: str | None
    description: str | None
    tags: Iterable[str] | None
    version: str | None
    cache_key_fn: CacheKeyFn | None
    cache_expiration: timedelta | None
    cache_single_flight: bool
    refresh_cache: bool | None
    retries: int
    retry_delay_seconds: float | RetryDelays
    retry_jitter_factor: float | None
    retry_condition_fn: RetryConditionFn | None
    timeout_seconds: float | None
    persist_result: bool | None
    result_storage: ResultStorage | None
    log_prints: bool | None
    task_run_name: RunName | None
    on_completion: Iterable[TaskHook] | None
    on_failure: Iterable[TaskHook] | None
    on_running: Iterable[TaskHook] | None


TASK_OPTIONS = OptionTable("@task", TaskOptions, cache_single_flight=True, retries=0, retry_delay_seconds=0)


class TaskDefinition(Definition, TaskHooks):
    """A task as the engine sees it; the base of ``Task``."""

    _table = TASK_OPTIONS

    tags: frozenset[str]
    cache_key_fn: CacheKeyFn | None
    cache_expiration: timedelta | None
    cache_single_flight: bool
    refresh_cache: bool | None
    retry_condition_fn: RetryConditionFn | None
    persist_result: bool | None
    task_run_name: RunName | None

    @TASK_OPTIONS.show_changes
    def with_options(self, **options: Unpack[TaskOptions]) -> Self:
        """Return a copy of this task with the given options changed; see ``task`` for the options.

        Raises:
            TypeError: An option is unknown or has the wrong type.
            ValueError: An option's value is not allowed.
        """
        return self._changed(options)

    @property
    def task_key(self) -> str:
        """Identifies the task; the same for all its runs."""
        raise NotImplementedError

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run the task within a flow; see ``Task.__call__``."""
        raise NotImplementedError

    def submit(self, /, *args: Any, **kwargs: Any) -> Any:
        """Start a run of the task without waiting for it; see ``Task.submit``."""
        raise NotImplementedError

    def map(self, /, *args: Any, **kwargs: Any) -> Any:
        """Submit the task for each element of its iterable arguments; see ``Task.map``."""
        raise NotImplementedError

    def refreshes_cache(self) -> bool:
        """Return True if a run called now must ignore the cache; see ``Task.refreshes_cache``."""
        raise NotImplementedError

    def checked_cache_key(self, key: object) -> str:
        """Return the value of ``cache_key_fn`` after checking it; see ``Task.checked_cache_key``."""
        raise NotImplementedError


running_task: ContextVar[TaskRunContext | None] = ContextVar("clearway_task_run", default=None)


@dataclass(frozen=True, slots=True)
class TaskRunContext:
    """The task run that the current code belongs to; also the first argument of a ``cache_key_fn``.

    Attributes:
        task: The task.
        task_run_id: The run's UUID.
        flow_run_id: The UUID of its flow run.
        task_run_name: The run's display name.
        run_count: The number of this attempt, from 1.
        parameters: The task's arguments by parameter name, with futures replaced by their results.
        start_time: When this attempt began, by this machine's clock.
        tags: The run's tags: the task's, and those that were in force when it was called.
        log_prints: Whether ``print()`` in the task's code becomes log lines of the run.
        flow_run_name: The name of the flow run that it belongs to.
        flow_name: The name of that run's flow.
    """

    task: TaskDefinition
    task_run_id: str
    flow_run_id: str
    task_run_name: str
    run_count: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    start_time: datetime = field(default_factory=now)
    tags: frozenset[str] = frozenset()
    log_prints: bool = False
    flow_run_name: str = ""
    flow_name: str = ""

    @staticmethod
    def get() -> TaskRunContext | None:
        """Return the context of the caller's task run, or None if the caller is not in a task run."""
        return running_task.get()


TaskRunContext.__module__ = "clearway.context"

CacheKeyFn: TypeAlias = Callable[[TaskRunContext, dict[str, Any]], str | None]
"""A function that returns a run's cache key, given its context and arguments; None means no caching."""
