"""What flows and tasks are to those who run them: a function and its options, without the ways to call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from clearway._definition.hooks import FlowHooks, Hooked, TaskHooks

if TYPE_CHECKING:
    from datetime import timedelta

    from clearway._definition.policy import Keeping, ResultStorage
    from clearway._definition.retries import RetryConditionFn
    from clearway._definition.run_names import RunName
    from clearway._definition.signature import CallSignature
    from clearway._definition.task_runner import TaskRunner


class Definition(Hooked):
    """What flows and tasks have in common; see ``Flow`` and ``Task`` for the attributes."""

    fn: Callable[..., Any]
    description: str | None
    version: str | None
    retries: int
    timeout_seconds: float | None
    result_storage: ResultStorage | None
    keeping: Keeping
    log_prints: bool | None
    is_async: bool
    signature: CallSignature

    def __clearway_parts__(self) -> list[Any]:
        """Return what counts in a cache key of which the flow or task is a part."""
        return [self.name, self.fn, sorted(getattr(self, "tags", ()))]


class FlowDefinition(Definition, FlowHooks):
    """A flow, as it is run."""

    retry_delay_seconds: float
    flow_run_name: RunName | None
    should_validate_parameters: bool
    task_runner: TaskRunner

    def validate_parameters(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments as the function's annotations want them; see ``Flow.validate_parameters``."""
        raise NotImplementedError

    def stand_in(self, fn: Callable[..., Any]) -> FlowDefinition:
        """Return a flow of another function that has the names of this one, and no other options."""
        raise NotImplementedError


class TaskDefinition(Definition, TaskHooks):
    """A task, as it is run."""

    tags: frozenset[str]
    cache_key_fn: Callable[..., str | None] | None
    cache_expiration: timedelta | None
    cache_single_flight: bool
    refresh_cache: bool | None
    retry_delay_seconds: float | list[float]
    retry_jitter_factor: float | None
    retry_condition_fn: RetryConditionFn | None
    persist_result: bool | None
    task_run_name: RunName | None

    @property
    def task_key(self) -> str:
        """What identifies the task: equal for all its runs."""
        raise NotImplementedError

    def refreshes_cache(self) -> bool:
        """Return whether a run passes the cache by, and replaces what it has."""
        raise NotImplementedError

    def checked_cache_key(self, key: object) -> str:
        """Return what ``cache_key_fn`` made, empty for no key; see ``Task.checked_cache_key``."""
        raise NotImplementedError
