"""Calling a user's functions for a task run: its code, its name, its cache key and its hooks."""

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

_FENCED = "its flow run lost its lease after the service received no heartbeats from this process"


def needs_thread(run: TaskRun) -> bool:
    """Return whether a thread is needed before the run starts: to read inputs or call a user's function."""
    task = run.task
    return run.given.inputs.to_resolve or task.cache_key_fn is not None or task.task_run_name is not None


def context_of(run: TaskRun) -> TaskRunContext:
    """Return the context that the run's code sees."""
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
        flow_run_name=facts.flow_run_name,
        flow_name=facts.flow_name,
    )


def compared(run: TaskRun) -> Work:
    """Return the work of comparing a run's call with those of earlier attempts of its flow."""
    given = run.given
    return run.identity.compared(run.task.fn, given.parameters, given.shared.texts if given.shared else None)


def take_name(run: TaskRun) -> None:
    """Name a run by its task's ``task_run_name``, if it has one.

    Raises:
        Exception: The name could not be rendered, or the user's function raised.
    """
    made_by = run.task.task_run_name
    if made_by is not None:
        with unshielded(), in_task_run(context_of(run)):
            owner = f"the task {run.task.name!r}"
            run.rename(make_run_name("task_run_name", owner, made_by, run.given.parameters))


def take_cache_key(run: TaskRun) -> None:
    """Compute the cache key of a run, if its task has a ``cache_key_fn``.

    Raises:
        Exception: The user's function raised, or did not return a key.
    """
    make_key = run.task.cache_key_fn
    if make_key is not None:
        with unshielded(), in_task_run(context_of(run)) as context:
            key = _key(run, partial(make_key, context, dict(run.given.parameters)))
            run.given.cache_key = run.task.checked_cache_key(key)


def _key(run: TaskRun, make_key: Callable[[], Any]) -> Any:
    """Call ``make_key`` with the serialized texts of arguments that the runs of a map share."""
    if not run.given.shared:
        return make_key()
    token = known_texts.set(run.given.shared.texts)
    try:
        return make_key()
    finally:
        known_texts.reset(token)


def begin_code(run: TaskRun) -> Callable[[], Any]:
    """Return a callable that runs the task's function as the run's next attempt.

    Raises:
        RunInterrupted: Another thread ended the run, or the service ended its flow run.
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
        if run.stop is not None:  # submitted: it has an asyncio task of its own
            return as_data(await _called(run), run.task)
        from clearway._execution.deadlines.cancel_scope import cancel_scope  # noqa: PLC0415 - loads asyncio

        with cancel_scope(run):
            return as_data(await _called(run), run.task)


def _called(run: TaskRun) -> Any:
    return run.task.signature.call(run.given.parameters, run.given.shape)


def call_hooks(run: TaskRun, state: State[Any]) -> CallHooks:
    """Return the effect that calls the task's hooks for a state that the run has entered."""
    from clearway._execution.hooks import CallHooks  # noqa: PLC0415 - most tasks have none

    return CallHooks(*_for_users(run, state))


def ask_condition(run: TaskRun, state: State[Any], condition: Callable[..., Any]) -> AskCondition:
    """Return the effect that calls ``retry_condition_fn`` after a failure."""
    from clearway._execution.task.retry_condition import AskCondition  # noqa: PLC0415 - most tasks have none

    return AskCondition(*_for_users(run, run.own_state(state)), condition)  # type: ignore[call-arg]  # the tuple has the rest


def _for_users(run: TaskRun, state: State[Any]) -> tuple[Any, ...]:
    """Return the arguments of ``CallHooks`` for the user's functions about the run."""
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
