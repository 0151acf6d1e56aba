"""What runs now: the flow run, the task run, and the tags in force."""

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
        flow: The flow that runs.
        flow_run_id: The run's UUID.
        flow_run_name: The run's name, for people.
        parameters: What the flow was called with, by parameter.
        run_count: Which attempt this is, from 1.
        start_time: When this attempt began, by this machine's clock.
        tags: The run's tags.
        scheduled_start_time: When the run was to begin: the time that it was scheduled for, or when it was
            called.
        parent_flow_run_id: The UUID of the flow run that called it as a subflow; None at the top.
        root_flow_run_id: The UUID of the flow run at the top, which may be this one.
        log_prints: Whether ``print()`` in the flow's own code becomes log lines of the run.
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
        """Return the context of the flow run that the caller is in, or None outside."""
        return _flow_run.get()


class RunningAttempt(Protocol):
    """One attempt of a flow run in this process, as far as others than the engine have to do with it."""

    def note_result(self, result: Any, task_run_id: str) -> None:
        """Note which task run a result is of that was read, as of a cached run."""
        ...

    def await_answers(self) -> None:
        """Block until all that was sent is answered, so that the service's answers to calls include it."""
        ...

    async def await_answers_async(self) -> None:
        """Wait as ``await_answers``."""
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
    """Return the context of the innermost run that the caller is in: of a task, or else of a flow.

    Raises:
        MissingContext: The caller is in no run.
    """
    context = innermost_run()
    if context is None:
        raise MissingContext(
            "get_run_context() was called outside a flow or task run, where there is no context; call it "
            "within one, or use FlowRunContext.get() and TaskRunContext.get(), which return None outside"
        )
    return context


def innermost_run() -> FlowRunContext | TaskRunContext | None:
    """Return the context of the innermost run that the caller is in, or None outside."""
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
    """Return the attempt of the flow run that the caller is in; None outside, and in a worker process."""
    return _attempt.get()


def is_cancelled() -> bool:
    """Return whether the run that the caller is in has been ended while its code still runs.

    Code in a thread cannot be stopped from outside. So what runs for long asks now and then, and returns::

        @task
        def scan(pages):
            for page in pages:
                if is_cancelled():
                    return
                ...

    True after the flow was interrupted, and where the service took this process for dead, as after it was
    suspended for longer than its lease: its slots are others' then. What the code returns counts no more.
    False outside a run.
    """
    task_run, flow_run = running_task.get(), _flow_run.get()
    return (task_run is not None and task_run.task_run_id in _cancelled) or (
        flow_run is not None and flow_run.flow_run_id in _cancelled
    )


def note_cancelled(run_id: str) -> None:
    """Let ``is_cancelled()`` be true in the code of a run."""
    _cancelled.add(run_id)


_cancelled: set[str] = set()


class task_run_entered:  # noqa: N801 - used as a function; a class since it stands in the way of every task run
    """Make a task run the one that the code in the block belongs to."""

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
    """Make a flow run the one that the code in the block belongs to.

    Args:
        context: The flow run.
        in_force: The tags that were in force when it was called, which its runs have too.
        attempt: What the engine keeps for the run; None in another process than the run's.
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
    """Return the flow run that code in ``context``, which is in one, belongs to."""
    found = context[_flow_run]
    assert found is not None
    return found


def tags_in(context: Context) -> frozenset[str]:
    """Return the tags that are in force in ``context``."""
    return context.get(_tags, frozenset())


def current_tags() -> frozenset[str]:
    """Return the tags that the enclosing ``tags()`` blocks give to runs."""
    return _tags.get()


@contextmanager
def tags(*new_tags: str) -> Iterator[frozenset[str]]:
    """Give tags to all runs that are called in this block, beside those they have already.

        with tags("database", "nightly"):
            load(rows)

    Args:
        new_tags: Any number of tags, each a string of 1 to 255 characters.

    Yields:
        The tags in force, those of enclosing blocks included.

    Raises:
        TypeError: A tag is no string.
        ValueError: A tag is empty, longer, or not printable.
    """
    token = _tags.set(_tags.get() | checked_tags(new_tags))
    try:
        yield _tags.get()
    finally:
        _tags.reset(token)


def refreshes_cache() -> bool | None:
    """Return what the innermost ``refresh_cache()`` block says; None outside."""
    return _refresh_cache.get()


@contextmanager
def refresh_cache(refresh: bool = True) -> Iterator[None]:
    """Let all cached tasks that are called in this block run, and replace what the cache has of them.

        with refresh_cache():
            report(day)

    It holds for the tasks of flows that are called in the block too. A task's own option goes
    before it, and it goes before the setting ``CLEARWAY_TASKS_REFRESH_CACHE``.

    Args:
        refresh: False lets them be served from the cache, whatever an enclosing block or the setting says.
    """
    token = _refresh_cache.set(refresh)
    try:
        yield
    finally:
        _refresh_cache.reset(token)


def checked_tags(given: object) -> frozenset[str]:
    """Return tags as a set, or say what is wrong with them.

    Raises:
        TypeError: ``given`` is one string rather than several, or something in it is no string.
        ValueError: A tag is empty, has more than 255 characters, or some that are not printable.
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
