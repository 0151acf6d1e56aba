"""Calling a user's functions for a task run: the task's own, and those that name it, key it or follow it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from clearway._canonical.known import known_texts
from clearway._definition.run_names import make_run_name
from clearway._execution.entering import in_task_run
from clearway._execution.returned import as_data
from clearway._execution.task.run import TaskRun
from clearway._waiting.sigint import unshielded
from clearway.context import TaskRunContext
from clearway.states import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from clearway._execution.effects import Work
    from clearway._execution.hooks import CallHooks
    from clearway._execution.task.retry_condition import AskCondition

_FENCED = "its flow run lost its lease while this process was not heard of"


def needs_thread(run: TaskRun) -> bool:
    """Return whether a run needs a thread before it starts: to read its inputs, or for a user's code."""
    task = run.task
    return run.given.inputs.to_resolve or task.cache_key_fn is not None or task.task_run_name is not None


def context_of(run: TaskRun) -> TaskRunContext:
    """Return what the code of a run finds out about it."""
    log_prints = run.task.log_prints
    facts = run.flow_attempt.facts
    return TaskRunContext(
        run.task,
        run.run_id,
        facts.flow_run_id,
        run.name,
        max(run.life.run_count, 1),
        run.given.parameters,
        tags=run.given.tags,
        log_prints=facts.log_prints if log_prints is None else log_prints,
    )


def compared(run: TaskRun) -> Work:
    """Return the work of comparing a run's call with those of earlier attempts of its flow."""
    given = run.given
    return run.identity.compared(run.task.fn, given.parameters, given.shared.texts if given.shared else None)


def take_name(run: TaskRun) -> None:
    """Name a run as its task wants it.

    Raises:
        Exception: What it wants cannot be made, or the user's ``task_run_name`` raised something.
    """
    made_by = run.task.task_run_name
    if made_by is not None:
        with unshielded(), in_task_run(context_of(run)):
            owner = f"the task {run.task.name!r}"
            run.rename(make_run_name("task_run_name", owner, made_by, run.given.parameters))


def take_cache_key(run: TaskRun) -> None:
    """Make the cache key of a run.

    Raises:
        Exception: The user's ``cache_key_fn`` raised something, or returned no key.
    """
    make_key = run.task.cache_key_fn
    if make_key is not None:
        with unshielded(), in_task_run(context_of(run)) as context:
            key = _key(run, partial(make_key, context, dict(run.given.parameters)))
            run.given.cache_key = run.task.checked_cache_key(key)


def _key(run: TaskRun, make_key: Callable[[], Any]) -> Any:
    """Return what a ``cache_key_fn`` makes, with the texts of what a map's runs share at hand."""
    if not run.given.shared:
        return make_key()
    token = known_texts.set(run.given.shared.texts)
    try:
        return make_key()
    finally:
        known_texts.reset(token)


def begin_code(run: TaskRun) -> Callable[[], Any]:
    """Return what calls the task's function, to be called as the run's next attempt.

    Raises:
        RunInterrupted: It was interrupted meanwhile, or the service has ended its flow run.
    """
    if run.flow_attempt.is_fenced:
        run.abandon(_FENCED)
    run.life.begin_code()
    return partial(_call_async if run.task.is_async else _call, run)


def _call(run: TaskRun) -> Any:
    with in_task_run(context_of(run)):
        return as_data(_called(run), run.task)


async def _call_async(run: TaskRun) -> Any:
    with in_task_run(context_of(run)):
        if run.stop is not None:  # submitted: its asyncio task is its own
            return as_data(await _called(run), run.task)
        from clearway._execution.deadlines.cancel_scope import cancel_scope  # noqa: PLC0415 - loads asyncio

        with cancel_scope(run):
            return as_data(await _called(run), run.task)


def _called(run: TaskRun) -> Any:
    return run.task.signature.call(run.given.parameters, run.given.shape)


def call_hooks(run: TaskRun, state: State[Any]) -> CallHooks:
    """Return the calls of the task's hooks for a state that the run has entered."""
    from clearway._execution.hooks import CallHooks  # noqa: PLC0415 - most tasks have none

    return CallHooks(*_for_users(run, state))


def ask_condition(run: TaskRun, state: State[Any], condition: Callable[..., Any]) -> AskCondition:
    """Return the question whether the run is to be tried again after a failure."""
    from clearway._execution.task.retry_condition import AskCondition  # noqa: PLC0415 - most tasks have none

    return AskCondition(*_for_users(run, run.own_state(state)), condition)  # type: ignore[call-arg]  # the tuple has all others


def _for_users(run: TaskRun, state: State[Any]) -> tuple[Any, ...]:
    """Return what ``CallHooks`` needs to call a user's function about the run."""
    from clearway._transport.rpcs import GET_TASK_RUN  # noqa: PLC0415 - most tasks have no such functions
    from clearway.schemas import TaskRun as KnownRun  # noqa: PLC0415
    from clearway.v1.task_run_pb2 import GetTaskRunRequest  # noqa: PLC0415

    return (
        run.task,
        state,
        lambda: GET_TASK_RUN.start(run.flow_attempt.transport, GetTaskRunRequest(id=run.run_id)),
        lambda answer, state: replace(KnownRun.from_proto(answer.task_run), state=state),
        lambda: in_task_run(context_of(run)),
        run.flow_attempt.loops.beside,
        run.log,
    )
