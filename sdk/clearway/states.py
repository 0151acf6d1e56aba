"""States of runs, and how to make them.

A task or flow may return a state made here, and so decide how its run ends::

    @task
    def check(path):
        if not path.exists():
            return Failed(message=f"{path} is not there")
        return path.stat().st_size
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast, overload

from clearway._base.clock import now
from clearway._base.plain_times import checked_time
from clearway._states.record import StateDetails, StateRecord, StateType

if TYPE_CHECKING:
    from clearway.run_errors import RunError
    from clearway.v1 import state_pb2

__all__ = [
    "AwaitingRetry",
    "Cancelled",
    "Completed",
    "Crashed",
    "Failed",
    "Pending",
    "Retrying",
    "Running",
    "Scheduled",
    "State",
    "StateDetails",
    "StateType",
]

R = TypeVar("R")

_PLAIN = frozenset({type(None), bool, int, float, str, bytes, list, dict, tuple})  # read already


class State(StateRecord, Generic[R]):
    """One entry of a run's history.

    Attributes:
        type: What the service reasons about.
        name: What people read: ``Completed``, ``Cached``, ``AwaitingRetry``.
        message: Why the run is in this state; empty where there is nothing to say.
        data: The run's value or exception, where this process has it; a ``StoredResult`` where it is to be
            read; None where there is none. Use ``result()`` rather than this; states are compared without it.
        timestamp: When the state was entered; by the service's clock once the service has answered.
        id: The UUID that the service gave the state; empty before.
        details: The facts that the service's rules decide by.
        error_kind: The number of the ``RunErrorKind`` of an exception in ``data``; 0 if it follows from the
            state's type. Use ``error.kind`` rather than this.
    """

    __slots__ = ()

    @overload
    def result(self, raise_on_failure: Literal[True] = True) -> R: ...
    @overload
    def result(self, raise_on_failure: bool) -> R | BaseException: ...
    def result(self, raise_on_failure: bool = True) -> R | BaseException:
        """Return the run's result, reading it from where it is kept if need be.

        Args:
            raise_on_failure: Raise the exception of a run that did not complete, rather than return it.

        Returns:
            The value; of a run that did not complete, its exception.

        Raises:
            UnfinishedRun: The run has not ended.
            MissingResult: The result is gone, damaged or not trusted.
            UnreadableResult: It cannot be read at present.
            BaseException: What the run's code raised; or FailedRun, CrashedRun or CancelledRun with the
                state's message, where it has no exception.
        """
        if self.type is StateType.COMPLETED and type(self.data) in _PLAIN:
            return cast("R", self.data)
        from clearway._states.result import state_result  # noqa: PLC0415 - loads the readers

        try:
            return cast("R", state_result(self, raise_on_failure=raise_on_failure))
        except BaseException as error:
            from clearway._base.tracebacks import folded  # noqa: PLC0415 - as above

            folded(error)
            raise

    @property
    def error(self) -> RunError | None:
        """The exception that the run ended with, in its portable form; None where it ended otherwise."""
        from clearway._states.result import error_of  # noqa: PLC0415 - loads the readers

        return error_of(self)

    def with_data(self, data: Any) -> State[Any]:
        """Return this state with other data."""
        return replace(self, data=data)

    def to_proto(self, data: state_pb2.Data | None = None) -> state_pb2.ProposedState:
        """Return the protocol's message that proposes this state. Reads and writes nothing.

        Args:
            data: The stored result; by default the state's own reference, if its data is a ``StoredResult``.
        """
        from clearway._states.messages import proposed_state  # noqa: PLC0415 - loads the messages

        return proposed_state(self, data)

    @staticmethod
    def from_proto(message: state_pb2.State, data: Any = None) -> State[Any]:
        """Return the state that the service recorded.

        Args:
            message: The state, as the service returned it.
            data: The value or exception that this process has; None keeps a reference to the stored result.
        """
        from clearway._states.messages import fields_with_result  # noqa: PLC0415 - as above

        return State(*fields_with_result(message, data))


@overload
def Completed(data: None = None, *, message: str = "", name: str = "") -> State[None]: ...
@overload
def Completed(data: R, *, message: str = "", name: str = "") -> State[R]: ...
def Completed(data: Any = None, *, message: str = "", name: str = "") -> State[Any]:  # noqa: N802
    """Make a state of a run that ended well, with ``data`` as its result."""
    return State(StateType.COMPLETED, name, message, data)


def Failed(data: Any = None, *, message: str = "", name: str = "") -> State[Any]:  # noqa: N802
    """Make a state of a run that failed; ``data`` may be the exception."""
    return State(StateType.FAILED, name, message, data)


def Crashed(data: Any = None, *, message: str = "", name: str = "") -> State[Any]:  # noqa: N802
    """Make a state of a run that was stopped by its surroundings."""
    return State(StateType.CRASHED, name, message, data)


def Cancelled(data: Any = None, *, message: str = "", name: str = "") -> State[Any]:  # noqa: N802
    """Make a state of a run that was stopped on purpose."""
    return State(StateType.CANCELLED, name, message, data)


def Pending(*, message: str = "", name: str = "") -> State[Any]:  # noqa: N802
    """Make a state of a run that waits for what it needs."""
    return State(StateType.PENDING, name, message)


def Running(*, message: str = "", name: str = "") -> State[Any]:  # noqa: N802
    """Make a state of a run whose code runs."""
    return State(StateType.RUNNING, name, message)


def Retrying(*, message: str = "", name: str = "Retrying") -> State[Any]:  # noqa: N802
    """Make a Running state of a run that failed before."""
    return State(StateType.RUNNING, name, message)


def Scheduled(  # noqa: N802
    scheduled_time: datetime | None = None, *, message: str = "", name: str = ""
) -> State[Any]:
    """Make a state of a run that is to begin at a time, by default now.

    Args:
        scheduled_time: A time with a time zone, of any class derived from ``datetime``.
        message: Why; empty where there is nothing to say.
        name: The state's name; by default ``Scheduled``.

    Raises:
        TypeError: ``scheduled_time`` is no ``datetime``.
        ValueError: ``scheduled_time`` has no time zone.
    """
    at = now() if scheduled_time is None else checked_time("scheduled_time", scheduled_time)
    return State(StateType.SCHEDULED, name, message, details=StateDetails(scheduled_time=at))


def AwaitingRetry(  # noqa: N802
    scheduled_time: datetime | None = None, *, message: str = "", name: str = "AwaitingRetry"
) -> State[Any]:
    """Make a Scheduled state of a run that failed and is to be tried again; see ``Scheduled``."""
    return Scheduled(scheduled_time, message=message, name=name)
