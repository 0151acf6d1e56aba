"""The result of a state: a value, or an exception to raise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from clearway._base.error_kinds import RunErrorKind
from clearway._base.unsigned import marked
from clearway._states.record import StateRecord, StateType
from clearway.exceptions import (
    CancelledRun,
    CrashedRun,
    FailedRun,
    MissingResult,
    RunFailure,
    UnfinishedRun,
    UnreadableResult,
    UpstreamTaskError,
)
from clearway.results import StoredResult

if TYPE_CHECKING:
    from clearway.run_errors import RunError

_FAILURES: Final[dict[StateType, type[RunFailure]]] = {
    StateType.FAILED: FailedRun,
    StateType.CRASHED: CrashedRun,
    StateType.CANCELLED: CancelledRun,
}


_NOTE: Final = "Where the run raised it:\n"
_UNSIGNED_NOTE: Final = "Where the run raised it, in a text that no signature covers:\n"


def state_result(state: StateRecord, *, raise_on_failure: bool) -> Any:
    """Return a run's result, or raise its exception; see ``State.result``."""
    if state.type is StateType.COMPLETED:
        return _value(state)
    failure = _exception(state)
    if raise_on_failure:
        raise failure
    return failure


def error_of(state: StateRecord) -> RunError | None:
    """Return the portable form of the exception that a run ended with; see ``State.error``."""
    data = state.data
    if isinstance(data, UpstreamTaskError) and data.error is not None and not state.is_final():
        return data.error  # the recorded reason why the run did not start
    if isinstance(data, BaseException):
        from clearway.run_errors import RunError  # noqa: PLC0415 - most runs have none

        return RunError.from_exception(data, error_kind(state))
    return data.error if isinstance(data, StoredResult) else None


def error_kind(state: StateRecord) -> RunErrorKind:
    """Return the kind of the error that a run ended with."""
    if state.error_kind:
        return RunErrorKind(state.error_kind)
    return RunErrorKind.CANCELLED if state.is_cancelled() else RunErrorKind.APPLICATION


def _value(state: StateRecord) -> Any:
    data = state.data
    return data.load() if isinstance(data, StoredResult) else data


def _exception(state: StateRecord) -> BaseException:
    """Return a run's own exception, else that of a state that it returned, else a ``RunFailure``."""
    own = state.data if isinstance(state.data, BaseException) else _stopped(state)
    if own is not None:  # includes the reason why a run never started, such as UpstreamTaskError
        return own
    try:
        value = _value(state)
    except (MissingResult, UnreadableResult) as missing:
        report = error_of(state)
        if report is None:
            raise
        return _reported(state, report, missing)
    if isinstance(value, BaseException):
        return _remembering(value, error_of(state))
    if state.type not in _FAILURES:
        return UnfinishedRun(f"the run is {state.name} and has not ended, so it has no result yet")
    for inner in _states_in(value):
        if inner.type in _FAILURES:
            return _exception(inner)
    message = marked(state.message) or (value if isinstance(value, str) else "")
    message = message or f"the run ended as {marked(state.name)}"
    return _FAILURES[state.type](message)


def _stopped(state: StateRecord) -> RunFailure | None:
    """Return a ``RunFailure`` for a run whose code did not start or was stopped; otherwise None."""
    data = state.data
    report = data.error if isinstance(data, StoredResult) and not data.encoding else None
    if report is None or not state.message:
        return None
    if report.kind is RunErrorKind.UPSTREAM:
        failure: RunFailure = UpstreamTaskError(f"the run did not start: {marked(state.message)}")
    elif report.kind is RunErrorKind.CANCELLED and state.type in _FAILURES:
        failure = _FAILURES[state.type](marked(state.message))
    else:
        return None
    failure.error = report
    return failure


def _reported(state: StateRecord, report: RunError, missing: MissingResult | UnreadableResult) -> RunFailure:
    """Return a ``RunFailure`` in place of an exception that cannot be loaded in this process."""
    failure = _FAILURES.get(state.type, FailedRun)(
        f"{report.title} (the exception itself cannot be loaded here: {missing})"
    )
    failure.error = report
    failure.__cause__ = missing
    failure.add_note(_note(report))
    return failure


def _remembering(error: BaseException, report: RunError | None) -> BaseException:
    """Return a stored exception with a note of its traceback, because pickles have no tracebacks."""
    if report is not None and error.__traceback__ is None and not getattr(error, "__notes__", None):
        error.add_note(_note(report))
    return error


def _note(report: RunError) -> str:
    return f"{_UNSIGNED_NOTE if report.unsigned else _NOTE}{report}"


def _states_in(value: Any) -> Iterator[StateRecord]:
    """Yield the states that a flow returned, directly or in a list, tuple, set or dict."""
    if isinstance(value, StateRecord):
        yield value
    elif isinstance(value, dict):
        yield from (item for item in value.values() if isinstance(item, StateRecord))
    elif isinstance(value, list | tuple | set | frozenset):
        yield from (item for item in value if isinstance(item, StateRecord))
