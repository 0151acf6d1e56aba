"""The final state that follows from what a user's code returned or raised."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from clearway._base.error_kinds import RunErrorKind
from clearway._base.settings import get_settings
from clearway._base.texts import encodable, shortened
from clearway._definition.policy import AS_USUAL, Keeping
from clearway._execution.effects import Outcome, Work
from clearway._execution.inputs.found import replace_upstreams
from clearway._states.result import error_kind
from clearway.exceptions import (
    CancelledRun,
    FailedRun,
    MissingResult,
    UnkeptResult,
    UnreadableResult,
    WorkerDied,
)
from clearway.futures import Future
from clearway.results import StoredResult, forget_damaged, get_store, in_memory
from clearway.states import Completed, Crashed, Failed, State, StateType
from clearway.v1 import state_pb2

_log = logging.getLogger("clearway.engine")
RAISED = "{} run encountered an exception"
"""The start of the message of a state whose run raised an exception."""

_LIGHT_BYTES = 8_192  # as JSON six times as many at most, which still travel within the state
_INLINE_BYTES = 6 * _LIGHT_BYTES
_LIGHT_ITEMS = 64
_MAX_MESSAGE = 4_000  # characters, of 16,384 that the service takes
_WORDS = {
    StateType.FAILED: "failed",
    StateType.CRASHED: "crashed",
    StateType.CANCELLED: "were cancelled",
}


class StopState(Protocol):
    """``Crashed`` or ``Cancelled``."""

    def __call__(self, data: Any = None, *, message: str = "") -> State[Any]:
        """Return the state."""
        ...


def failed_state(kind: str, error: BaseException, where: str = "") -> State[Any]:
    """Return the state of a run whose code raised an exception.

    Args:
        kind: ``Task`` or ``Flow``.
        error: The exception.
        where: Where, if not in the function itself, such as `` in its cache_key_fn``.
    """
    return Failed(error, message=f"{RAISED.format(kind)}{where}: {describe(error)}")


def of_kind(kind: RunErrorKind, state: State[Any]) -> State[Any]:
    """Return a copy of a state whose error has another kind than the state's type implies."""
    return replace(state, error_kind=kind)


def entered(recorded: State[Any], end: State[Any]) -> State[Any]:
    """Return the state as recorded by the service, with the value or exception that was proposed."""
    return replace(recorded, data=end.data, error_kind=end.error_kind)


def stopped_early(stop: StopState, message: str, cause: BaseException | None = None) -> State[Any]:
    """Return the state of a run that was interrupted or cancelled.

    Args:
        stop: ``Crashed`` if the run's code had started, else ``Cancelled``.
        message: Why, for people.
        cause: What interrupted it; None if its flow run has ended.
    """
    from clearway.run_errors import RunError, type_of  # noqa: PLC0415 - most runs have none

    kind = type_of(CancelledRun() if cause is None else cause)
    report = RunError(kind, encodable(shortened(message, _MAX_MESSAGE)), kind=RunErrorKind.CANCELLED)
    return stop(StoredResult("", error=report), message=message)


def describe(error: BaseException) -> str:
    """Return the last line of an exception's traceback, shortened if it is very long."""
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001 - a user's __str__ may raise anything
        text = f"(its __str__ raised {type(broken).__name__})"
    return shortened(f"{type(error).__name__}: {text}" if text else type(error).__name__, _MAX_MESSAGE)


def interruption(cause: BaseException) -> str:
    """Describe what interrupted a run, for its state's message."""
    name = type(cause).__name__
    if name == "CancelledError":
        return "cancelled: the asyncio task that it ran in was cancelled"
    if isinstance(cause, KeyboardInterrupt):
        return "interrupted from the keyboard (KeyboardInterrupt)"
    return f"interrupted by {describe(cause)}"


def task_state(outcome: Outcome, *, may_run_again: bool = False) -> State[Any]:
    """Return the final state of a task's code; a state returned by the code is used as it is.

    A task whose worker process died has Crashed. If it has retries left it is proposed as Failed all the
    same, since only failures are retried.
    """
    if outcome.timed_out:
        return _timed_out(outcome)
    if isinstance(outcome.error, WorkerDied) and not may_run_again:
        return of_kind(RunErrorKind.LOST, Crashed(outcome.error, message=str(outcome.error)))
    if outcome.error is not None:
        return of_kind(outcome.kind, failed_state("Task", outcome.error))
    return _state_of(outcome.value)


def flow_state(outcome: Outcome, not_completed: list[State[Any]], total: int) -> State[Any]:
    """Return the state that a flow's code ended in.

    Args:
        outcome: What its function returned or raised. All futures in it are done.
        not_completed: The states of its task runs and subflows that did not complete. They decide the state
            if the function returned None.
        total: How many task runs and subflows it had.
    """
    if outcome.timed_out:
        return _timed_out(outcome)
    if outcome.error is not None:
        return failed_state("Flow", outcome.error)
    if outcome.value is None:
        if not_completed:
            return Failed(not_completed, message=_summary(not_completed, total))
        return Completed()
    value = outcome.value
    if isinstance(value, State) and made_by_hand(value):
        return _checked(value)
    return _state_of(replace_upstreams(value, _state, unwrap=False))


def _timed_out(outcome: Outcome) -> State[Any]:
    return of_kind(RunErrorKind.TIMEOUT, Failed(outcome.error, name="TimedOut", message=str(outcome.error)))


def _state(upstream: Future[Any] | State[Any]) -> State[Any]:
    return upstream.current_state() if isinstance(upstream, Future) else upstream


def made_by_hand(state: State[Any]) -> bool:
    """Return whether a user made the state; otherwise it is the state of a run."""
    return not (state.details.flow_run_id or state.details.task_run_id)


def _checked(state: State[Any]) -> State[Any]:
    """Return a state that a function returned, or Failed if a run cannot end in it."""
    if state.is_final() or state.is_scheduled():
        return state
    message = (
        f"the function returned {state}, in which no run can end; return Completed(...), Failed(...), "
        "Cancelled(...) or Crashed(...), or AwaitingRetry() to be run again"
    )
    return Failed(FailedRun(message), message=message)


def _state_of(value: Any) -> State[Any]:
    if isinstance(value, State):
        if made_by_hand(value):
            return _checked(value)
        states: Iterable[State[Any]] = (value,)
    elif isinstance(value, (list, tuple, set)) and value and all(isinstance(item, State) for item in value):
        states = value
    else:
        return Completed(value)
    states = list(states)
    not_completed = [state for state in states if not state.is_completed()]
    if not_completed:
        return Failed(value, message=_summary(not_completed, len(states)))
    return Completed(value, message="all states completed")


def _summary(not_completed: list[State[Any]], total: int) -> str:
    counts = Counter(_WORDS.get(state.type, "did not run to an end") for state in not_completed)
    words = (*_WORDS.values(), "did not run to an end")
    parts = [f"{counts[word]} of {total} {word}" for word in words if counts[word]]
    return f"of the task runs and subflows, {', '.join(parts)}"


def end_message(state: State[Any], run_name: str, keeping: Keeping = AS_USUAL) -> Work:
    """Return the work of making the proposal that ends a run, which includes storing the result.

    Its reply is the message; or an ``UnkeptResult``, if the result must be stored and cannot be.

    Args:
        state: The run's end, with the value or the exception.
        run_name: For the warning that a result could not be stored and is in memory only.
        keeping: How the task wants its results stored.
    """
    light = keeping.persist is False or _is_light(state.data)
    return Work(partial(_end_message, state, run_name, keeping), light=light)


def retry_delay(state: State[Any]) -> float:
    """Return in how many seconds a Scheduled run may start; both times are the service's."""
    at = state.details.scheduled_time
    return 0.0 if at is None else max(0.0, (at - state.timestamp).total_seconds())


def lost_result(state: State[Any]) -> Work:
    """Return the work of reading a completed run's result; the reply says why it is lost, or is empty.

    A result that is only unreadable at present is not lost: using its value raises ``UnreadableResult``, and
    the cache is left alone.
    """
    return Work(partial(_lost_result, state.data), light=_is_inline(state.data))


def _is_inline(data: Any) -> bool:
    return not isinstance(data, StoredResult) or data.inline is not None


def _lost_result(data: Any) -> str:
    try:
        if isinstance(data, StoredResult):
            data.load(own_only=True)
    except MissingResult as error:
        forget_damaged(data)
        return str(error)
    except UnreadableResult as error:
        _log.warning("%s", error)
    return ""


def _end_message(
    state: State[Any], run_name: str, keeping: Keeping
) -> state_pb2.ProposedState | UnkeptResult:
    try:
        message = state.to_proto(_stored(state, run_name, keeping))
    except UnkeptResult as error:
        return error
    message.message = shortened(message.message, _MAX_MESSAGE)
    return message


def _is_light(value: Any) -> bool:
    """Return whether storing a value surely takes well under a millisecond; the check itself is brief."""
    if get_settings().result_inline_bytes < _INLINE_BYTES:
        return False
    if value is None or isinstance(value, (bool, int, float)):
        return True
    if isinstance(value, (str, bytes)):
        return len(value) <= _LIGHT_BYTES
    if isinstance(value, dict):
        return len(value) <= _LIGHT_ITEMS and all(map(_is_light_item, value.values()))
    if isinstance(value, (list, tuple)):
        return len(value) <= _LIGHT_ITEMS and all(map(_is_light_item, value))
    return isinstance(value, StoredResult)


def _is_light_item(value: Any) -> bool:
    return (
        value is None
        or isinstance(value, (bool, int, float))
        or (isinstance(value, (str, bytes)) and len(value) <= _LIGHT_BYTES // _LIGHT_ITEMS)
    )


def _stored(state: State[Any], run_name: str, keeping: Keeping) -> state_pb2.Data | None:
    value = state.data
    if isinstance(value, StoredResult):
        return value.to_proto()
    if value is None and not state.is_completed():
        return None
    if isinstance(value, BaseException):
        return get_store(keeping.place).store_exception(
            value, error_kind(state), pickled=keeping.persist is not False
        )
    if keeping.persist is False and value is not None:  # None needs no storing
        return in_memory("its task has persist_result=False")
    try:
        return get_store(keeping.place).store(value)
    except (TypeError, OSError) as error:
        if keeping.persist:
            raise UnkeptResult(
                f"the result of {run_name} cannot be kept, and its task has persist_result=True: {error}"
            ) from error
        _log.warning("the result of %s is in memory only: %s", run_name, error)
        return in_memory(str(error))
