"""States of runs, and functions that create them.

A task or flow decides how its run ends by returning such a state::

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

_PLAIN = frozenset({type(None), bool, int, float, str, bytes, list, dict, tuple})  # values, not references


class State(StateRecord, Generic[R]):
    """One entry of a run's history.

    Attributes:
        type: The state's type; the service's rules are about types.
        name: A more specific name for people to read, such as ``Completed``, ``Cached`` or ``AwaitingRetry``.
        message: Why the run is in this state; may be empty.
        data: The run's value or exception if this process has it, a ``StoredResult`` if it must be read
            first, or None. Use ``result()`` instead. Ignored when states are compared.
        timestamp: When the run entered the state: by the service's clock once the service has recorded it,
            and by this machine's clock before.
        id: The UUID that the service gave the state; empty before that.
        details: More facts about the state, such as its scheduled time or cache key.
        error_kind: A number of ``RunErrorKind`` for an exception in ``data``; 0 means that the kind follows
            from the state's type. Use ``error.kind`` instead.
    """

    __slots__ = ()

    @overload
    def result(self, raise_on_failure: Literal[True] = True) -> R: ...
    @overload
    def result(self, raise_on_failure: bool) -> R | BaseException: ...
    def result(self, raise_on_failure: bool = True) -> R | BaseException:
        """Return the run's result, reading it from its storage if necessary.

        Args:
            raise_on_failure: If the run did not complete: True, the default, raises its exception, and False
                returns it.

        Returns:
            The run's value; or the exception of a run that did not complete, with ``raise_on_failure=False``.

        Raises:
            UnfinishedRun: The run has not ended.
            MissingResult: The result is gone, damaged or not trusted.
            UnreadableResult: The result cannot be read for now; try again later.
            BaseException: Whatever the run's code raised; or FailedRun, CrashedRun or CancelledRun with the
                state's message if there is no exception.
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
        """The portable form of the exception that the run ended with; None if it ended without one."""
        from clearway._states.result import error_of  # noqa: PLC0415 - loads the readers

        return error_of(self)

    def with_data(self, data: Any) -> State[Any]:
        """Return a copy of this state with other data."""
        return replace(self, data=data)

    def to_proto(self, data: state_pb2.Data | None = None) -> state_pb2.ProposedState:
        """Return the protocol message that proposes this state. Does not read or store the result.

        Args:
            data: The reference to the stored result; by default the state's ``data`` if it is a
                ``StoredResult``.
        """
        from clearway._states.messages import proposed_state  # noqa: PLC0415 - loads the messages

        return proposed_state(self, data)

    @staticmethod
    def from_proto(message: state_pb2.State, data: Any = None) -> State[Any]:
        """Return a state that the service recorded.

        Args:
            message: The state as a protocol message.
            data: The value or exception, if this process has it; None, the default, keeps the reference to
                the stored result.
        """
        from clearway._states.messages import fields_with_result  # noqa: PLC0415 - as above

        return State(*fields_with_result(message, data))


@overload
def Completed(data: None = None, *, message: str = "", name: str = "") -> State[None]: ...
@overload
def Completed(data: R, *, message: str = "", name: str = "") -> State[R]: ...
def Completed(data: Any = None, *, message: str = "", name: str = "") -> State[Any]:  # noqa: N802
    """Return a Completed state: the run ended successfully, with ``data`` as its result."""
    return State(StateType.COMPLETED, name, message, data)


def Failed(data: Any = None, *, message: str = "", name: str = "") -> State[Any]:  # noqa: N802
    """Return a Failed state; ``data`` may be the exception, which ``result()`` then raises."""
    return State(StateType.FAILED, name, message, data)


def Crashed(data: Any = None, *, message: str = "", name: str = "") -> State[Any]:  # noqa: N802
    """Return a Crashed state: the run was cut short from outside, as when its process died."""
    return State(StateType.CRASHED, name, message, data)


def Cancelled(data: Any = None, *, message: str = "", name: str = "") -> State[Any]:  # noqa: N802
    """Return a Cancelled state: the run was stopped on purpose."""
    return State(StateType.CANCELLED, name, message, data)


def Pending(*, message: str = "", name: str = "") -> State[Any]:  # noqa: N802
    """Return a Pending state: the run is waiting to start, for example for its inputs."""
    return State(StateType.PENDING, name, message)


def Running(*, message: str = "", name: str = "") -> State[Any]:  # noqa: N802
    """Return a Running state: the run's code is being executed."""
    return State(StateType.RUNNING, name, message)


def Retrying(*, message: str = "", name: str = "Retrying") -> State[Any]:  # noqa: N802
    """Return a Running state for another attempt of a run that has failed."""
    return State(StateType.RUNNING, name, message)


def Scheduled(  # noqa: N802
    scheduled_time: datetime | None = None, *, message: str = "", name: str = ""
) -> State[Any]:
    """Return a Scheduled state: the run is due to start at a given time.

    Args:
        scheduled_time: A ``datetime`` with a time zone, or an instance of a subclass. Default: now.
        message: Why the run is scheduled. Default: empty.
        name: The state's name. Default: ``Scheduled``.

    Raises:
        TypeError: ``scheduled_time`` is not a ``datetime``.
        ValueError: ``scheduled_time`` has no time zone.
    """
    at = now() if scheduled_time is None else checked_time("scheduled_time", scheduled_time)
    return State(StateType.SCHEDULED, name, message, details=StateDetails(scheduled_time=at))


def AwaitingRetry(  # noqa: N802
    scheduled_time: datetime | None = None, *, message: str = "", name: str = "AwaitingRetry"
) -> State[Any]:
    """Return a Scheduled state for a failed run that will be retried; see ``Scheduled``."""
    return Scheduled(scheduled_time, message=message, name=name)
