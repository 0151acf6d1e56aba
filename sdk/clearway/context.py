"""The context of the current code: its flow run, its task run, and the tags for new runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from clearway._base.clock import now
from clearway._definition.base import TaskRunContext as TaskRunContext  # noqa: PLC0414 - offered here
from clearway._definition.base import running_task
from clearway.exceptions import MissingContext

if TYPE_CHECKING:
    from clearway._definition.base import FlowDefinition

_flow_run: ContextVar[FlowRunContext | None] = ContextVar("clearway_flow_run", default=None)
_attempt: ContextVar[RunningAttempt | None] = ContextVar("clearway_attempt", default=None)
_tags: ContextVar[frozenset[str]] = ContextVar("clearway_tags", default=frozenset())
_refresh_cache: ContextVar[bool | None] = ContextVar("clearway_refresh_cache", default=None)
_MAX_TAG = 255


@dataclass(frozen=True, slots=True)
class FlowRunContext:
    """The flow run that the current code belongs to.

    Attributes:
        flow: The flow.
        flow_run_id: The run's UUID.
        flow_run_name: The run's display name.
        parameters: The flow's arguments by parameter name.
        run_count: The number of this attempt, from 1.
        start_time: When this attempt began, by this machine's clock.
        tags: The run's tags.
        scheduled_start_time: When the run was due to start: its scheduled time, or else the time of the call.
        parent_flow_run_id: The UUID of the flow run that called this one as a subflow; None for a top-level
            run.
        root_flow_run_id: The UUID of the top-level flow run, which may be this one.
        log_prints: True if ``print()`` in the flow's own code is logged as lines of the run.
    """

    flow: FlowDefinition
    flow_run_id: str
    flow_run_name: str
    parameters: Mapping[str, Any]
    run_count: int
    start_time: datetime
    tags: frozenset[str] = frozenset()
    scheduled_start_time: datetime = field(default_factory=now)
    parent_flow_run_id: str | None = None
    root_flow_run_id: str = ""
    log_prints: bool = False

    @staticmethod
    def get() -> FlowRunContext | None:
        """Return the context of the caller's flow run, or None if the caller is not in a flow run."""
        return _flow_run.get()


class RunningAttempt(Protocol):
    """One attempt of a flow run in this process: the part of it that code outside the engine uses."""

    def note_result(self, result: Any, task_run_id: str) -> None:
        """Record which task run produced a result that had to be read, such as a cached one."""
        ...

    def await_answers(self) -> None:
        """Block until the service has replied to everything sent, so that later reads see its effects."""
        ...

    async def await_answers_async(self) -> None:
        """Do the same as ``await_answers`` without blocking the event loop."""
        ...


@dataclass(frozen=True, slots=True)
class CurrentRun:
    """The run that the current code belongs to, as log lines name it.

    Attributes:
        flow_run_id: The flow run's UUID.
        task_run_id: The task run's UUID; empty in the flow's own code.
        name: The innermost run's name.
        flow_run_name: The flow run's name.
        flow_name: The flow's name.
        task_name: The task's name; empty in the flow's own code.
    """

    flow_run_id: str
    task_run_id: str
    name: str
    flow_run_name: str
    flow_name: str
    task_name: str


def get_run_context() -> FlowRunContext | TaskRunContext:
    """Return the context of the caller's innermost run: its task run, or else its flow run.

    Raises:
        MissingContext: The caller is not in a run.
    """
    context = innermost_run()
    if context is None:
        raise MissingContext(
            "get_run_context() was called outside a flow or task run, where there is no context; call it "
            "within one, or use FlowRunContext.get() and TaskRunContext.get(), which return None there"
        )
    return context


def innermost_run() -> FlowRunContext | TaskRunContext | None:
    """Return the context of the caller's innermost run, or None if the caller is not in a run."""
    return running_task.get() or _flow_run.get()


def current_run() -> CurrentRun | None:
    """Return the run that the caller is in, or None outside."""
    context = innermost_run()
    return None if context is None else run_of(context)


def run_of(context: FlowRunContext | TaskRunContext) -> CurrentRun:
    """Return the run of a context, as log lines name it."""
    if isinstance(context, FlowRunContext):
        name = context.flow_run_name
        return CurrentRun(context.flow_run_id, "", name, name, context.flow.name, "")
    return CurrentRun(
        context.flow_run_id,
        context.task_run_id,
        context.task_run_name,
        context.flow_run_name,
        context.flow_name,
        context.task.name,
    )


def current_attempt() -> RunningAttempt | None:
    """Return the current attempt of the caller's flow run; None outside a run and in a worker process."""
    return _attempt.get()


def is_cancelled() -> bool:
    """Return True if the caller's run has already been ended, although its code is still running.

    A thread cannot be stopped from outside, so long-running code should check this now and then::

        @task
        def scan(pages):
            for page in pages:
                if is_cancelled():
                    return
                ...

    This happens when the flow is interrupted, or when the service considers this process dead because its
    lease expired, for example while the machine was suspended. The run's concurrency slots may then belong
    to other runs, and whatever the code returns is ignored. Outside a run, the return value is False.
    """
    task_run, flow_run = running_task.get(), _flow_run.get()
    return (task_run is not None and task_run.task_run_id in _cancelled) or (
        flow_run is not None and flow_run.flow_run_id in _cancelled
    )


def note_cancelled(run_id: str) -> None:
    """Make ``is_cancelled()`` return True in the code of a run."""
    _cancelled.add(run_id)


_cancelled: set[str] = set()


class task_run_entered:  # noqa: N801 - used as a function; a class is faster, and every task run enters one
    """Make a task run the current one for the code in the block."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: TaskRunContext) -> None:
        self._context = context

    def __enter__(self) -> TaskRunContext:
        self._token = running_task.set(self._context)
        return self._context

    def __exit__(self, *_: object) -> None:
        running_task.reset(self._token)


@contextmanager
def flow_run_entered(
    context: FlowRunContext, in_force: frozenset[str], attempt: RunningAttempt | None = None
) -> Iterator[FlowRunContext]:
    """Make a flow run the current one for the code in the block.

    Args:
        context: The flow run.
        in_force: The tags of the ``tags()`` blocks around the call, which the run's own runs get too.
        attempt: The engine's attempt; None in a worker process.
    """
    task_run = running_task.set(None)
    flow_run = _flow_run.set(context)
    running = _attempt.set(attempt)
    before = _tags.set(in_force)
    try:
        yield context
    finally:
        _tags.reset(before)
        _attempt.reset(running)
        _flow_run.reset(flow_run)
        running_task.reset(task_run)


def flow_run_in(context: Context) -> FlowRunContext:
    """Return the flow run that code in ``context`` belongs to; there must be one."""
    found = context[_flow_run]
    assert found is not None
    return found


def tags_in(context: Context) -> frozenset[str]:
    """Return the tags that runs called in ``context`` get."""
    return context.get(_tags, frozenset())


def current_tags() -> frozenset[str]:
    """Return the tags of the enclosing ``tags()`` blocks."""
    return _tags.get()


@contextmanager
def tags(*new_tags: str) -> Iterator[frozenset[str]]:
    """Add tags to every run that is called in this block.

        with tags("database", "nightly"):
            load(rows)

    Args:
        new_tags: Any number of tags, each a string of 1 to 255 characters.

    Yields:
        All tags that runs get here, including those of enclosing blocks.

    Raises:
        TypeError: A tag is not a string.
        ValueError: A tag is empty, longer than 255 characters, or has characters that are not printable.
    """
    token = _tags.set(_tags.get() | checked_tags(new_tags))
    try:
        yield _tags.get()
    finally:
        _tags.reset(token)


def refreshes_cache() -> bool | None:
    """Return the argument of the innermost ``refresh_cache()`` block, or None outside of one."""
    return _refresh_cache.get()


@contextmanager
def refresh_cache(refresh: bool = True) -> Iterator[None]:
    """Make tasks called in this block run even if their result is cached, and replace their cache entries.

        with refresh_cache():
            report(day)

    This includes the tasks of flows called in the block. A task's own ``refresh_cache`` option takes
    precedence over the block, and the block over the setting ``CLEARWAY_TASKS_REFRESH_CACHE``.

    Args:
        refresh: True by default. False uses the cache again, inside a block or with a setting that refreshes.
    """
    token = _refresh_cache.set(refresh)
    try:
        yield
    finally:
        _refresh_cache.reset(token)


def checked_tags(given: object) -> frozenset[str]:
    """Return tags as a set, after checking them.

    Raises:
        TypeError: ``given`` is not a list, tuple or set of strings.
        ValueError: A tag is empty, longer than 255 characters, or has characters that are not printable.
    """
    if isinstance(given, str):
        raise TypeError(f"tags is the string {given!r}; give a list or set of strings, such as [{given!r}]")
    if not isinstance(given, (list, tuple, set, frozenset)):
        raise TypeError(f"tags is {given!r}; give a list or set of strings")
    for tag in given:
        if not isinstance(tag, str):
            raise TypeError(f"the tag {tag!r} is of type {type(tag).__name__}; a tag is a string")
        if not 1 <= len(tag) <= _MAX_TAG:
            raise ValueError(f"the tag {tag!r} has {len(tag)} characters; a tag has 1 to {_MAX_TAG}")
        if not tag.isprintable():
            raise ValueError(f"the tag {tag!r} must be printable, without control characters")
    return frozenset(given)
