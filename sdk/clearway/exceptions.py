"""Clearway's exceptions.

    ClearwayError
    ├── InvalidSetting              (ValueError)       a setting's value is not allowed
    ├── ReservedArgument            (TypeError)        a flow's or task's parameter has a reserved name
    ├── ParameterBindError          (TypeError)        a call's arguments do not fit the function
    ├── ParameterTypeError          (TypeError)        a flow's argument does not fit its annotation
    ├── MappingLengthMismatch       (ValueError)       ``map`` was given iterables of different lengths
    ├── NothingToMap                (ValueError)       ``map`` was given no iterable
    ├── MissingContext              (RuntimeError)     called outside the run that it needs
    ├── NestedTask                  (RuntimeError)     a task was called from within a task
    ├── Deadlock                    (RuntimeError)     waiting here would never end
    ├── NotAwaited                  (TypeError)        a function returned something that must be awaited
    ├── NotPicklable                (TypeError)        something cannot be sent to or from a worker process
    ├── MissingResult               (LookupError)      a stored result is gone or damaged
    │   └── UntrustedResult                            the settings do not allow reading it
    ├── UnreadableResult            (OSError)          a stored result cannot be read for now
    ├── UnkeptResult                (RuntimeError)     a result that must be stored cannot be
    ├── RunFailure                                     a run has neither a result nor an exception to raise
    │   ├── FailedRun
    │   ├── CrashedRun
    │   │   ├── LostRun                                the service considered this process dead
    │   │   └── WorkerDied                             the worker process that ran the code died
    │   ├── CancelledRun
    │   ├── UnfinishedRun
    │   └── UpstreamTaskError                          the run never began: something it depends on failed
    ├── Aborted                                        the service ordered a run to stop
    ├── ClientClosed                (RuntimeError)     this process has closed its connection
    ├── ForkedProcess               (RuntimeError)     gRPC was used before this process was forked
    └── ServiceError                                   a call was refused; has ``reason`` and ``metadata``
        ├── ServerUnavailable       (ConnectionError)  the service cannot be reached, or is overloaded
        ├── InvalidArgument         (ValueError)       a field's value is not allowed
        ├── RunNotFound             (LookupError)
        ├── LimitNotFound           (LookupError)
        ├── ResultNotFound          (LookupError)
        ├── StorageFull             (OSError)
        ├── SessionExpired
        ├── ProposalConflict
        ├── RunConflict
        └── ProtocolViolation

    NonRetryable                                       for users to raise: the run is not retried
    DefinitionWarning               (UserWarning)      a definition works but is probably a mistake

Exceptions from user code are never wrapped in one of these: the caller gets the exception as it was raised.
"""
# ruff: noqa: N818 - a name says what happened, as users of workflow systems know it: FailedRun, MissingResult

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from clearway._base.errors import ClearwayError as ClearwayError  # noqa: PLC0414 - offered here
from clearway._base.errors import InvalidSetting as InvalidSetting  # noqa: PLC0414 - offered here
from clearway._base.errors import NonRetryable as NonRetryable  # noqa: PLC0414 - offered here

if TYPE_CHECKING:
    from clearway.run_errors import RunError


class ReservedArgument(ClearwayError, TypeError):
    """A flow or task has a parameter named ``return_state`` or ``wait_for``, which are reserved for calls."""


class ParameterBindError(ClearwayError, TypeError):
    """A flow or task was called with arguments that do not fit its function."""


class ParameterTypeError(ClearwayError, TypeError):
    """A flow was called with an argument that does not fit its annotation and cannot be converted to it."""


class MappingLengthMismatch(ClearwayError, ValueError):
    """``map`` was given iterables of different lengths."""


class NothingToMap(ClearwayError, ValueError):
    """``map`` was given no iterable to map over."""


class MissingContext(ClearwayError, RuntimeError):
    """Something that needs a run was called outside of one, such as a task outside a flow."""


class NestedTask(ClearwayError, RuntimeError):
    """A task was called from within a task; call its function with ``.fn()`` instead."""


class Deadlock(ClearwayError, RuntimeError):
    """Waiting for a run would never end, since it needs the event loop that the waiting would block.

    Either its own code does, or that of a run which holds what it waits for: a slot, a cache key, a permit.
    """


class NotAwaited(ClearwayError, TypeError):
    """A flow's or task's function returned a coroutine or another awaitable instead of a result."""


class NotPicklable(ClearwayError, TypeError):
    """A task, an argument or a result cannot be pickled, so it cannot go to or from a worker process."""


class MissingResult(ClearwayError, LookupError):
    """A result is gone or damaged, cannot be decoded, or was only ever in another process's memory.

    Attributes:
        location: The path or URL where the result was expected; empty if unknown.
    """

    def __init__(self, message: str, location: str = "") -> None:
        super().__init__(message)
        self.location = location


class UntrustedResult(MissingResult):
    """Reading a result is refused for security; nothing was read or decoded.

    There are four possible reasons: ``CLEARWAY_RESULT_SERIALIZERS`` does not allow its encoding; it is not
    signed with ``CLEARWAY_RESULT_SIGNING_KEY``; its location is outside the storages that this process is
    configured with; or the location holds a link or something else that is not a regular file.
    """


class UnreadableResult(ClearwayError, OSError):
    """A stored result cannot be read for now, although it probably exists; its cache entry is kept.

    Possible causes are a lack of file descriptors, missing permissions, a disk error, or a storage that
    cannot be reached. Try again once the cause is fixed; ``__cause__`` is the original error.

    Attributes:
        location: The path or URL of the result.
    """

    def __init__(self, message: str, location: str = "") -> None:
        super().__init__(message)
        self.location = location


class UnkeptResult(ClearwayError, RuntimeError):
    """The result of a task with ``persist_result=True`` could not be stored."""


class RunFailure(ClearwayError):
    """A run has neither a result nor an exception that can be raised in this process.

    Attributes:
        error: The portable form of the exception that the run's code raised, when the exception itself
            cannot be loaded: its class is not installed here, or it could not be pickled. None if the code
            did not raise.
    """

    error: RunError | None = None


class FailedRun(RunFailure):
    """The run failed, and there is no exception of its own to raise."""


class CrashedRun(RunFailure):
    """The run was cut short from outside: it was interrupted, or its process died."""


class LostRun(CrashedRun):
    """The service considered this process dead and ended its runs, but the process is still alive.

    Raised when the run's code next calls Clearway. Whatever the code does after that is ignored: its
    concurrency slots may already belong to other runs.
    """


class WorkerDied(CrashedRun):
    """The worker process exited or was killed before the code it was running had finished."""


class CancelledRun(RunFailure):
    """The run was cancelled."""


class UnfinishedRun(RunFailure):
    """The run has not ended yet."""


class UpstreamTaskError(RunFailure):
    """The run never started, because something that it depends on did not complete.

    Attributes:
        error: Names the input that did not complete, with the kind ``RunErrorKind.UPSTREAM``; its ``cause``
            is that input's own error. None in an exception that user code raises.
    """


class Aborted(ClearwayError):
    """The service ordered a run to stop.

    Attributes:
        reason: A number of the protocol's ``AbortReason``; 0 if unspecified.
    """

    def __init__(self, message: str, reason: int = 0) -> None:
        super().__init__(message)
        self.reason = reason


class ClientClosed(ClearwayError, RuntimeError):
    """This process has closed its connection to the service, so nothing can be sent or received."""


class ForkedProcess(ClearwayError, RuntimeError):
    """A connection was requested in a process forked from one that already had a gRPC connection."""


class ServiceError(ClearwayError):
    """The service refused a call, or could not be reached.

    Attributes:
        reason: A number of the protocol's ``ErrorReason``; 0 if the service gave none.
        field: The request field that was wrong; empty if the error is not about one field.
        metadata: What the error is about, such as ``{"run_id": "..."}``; empty if the service gave nothing.
            The protocol lists the keys for each reason.
    """

    def __init__(
        self, message: str, reason: int = 0, field: str = "", metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.field = field
        self.metadata = dict(metadata or {})


class ServerUnavailable(ServiceError, ConnectionError):
    """The service cannot be reached at the configured address, or cannot take requests at the moment."""


class InvalidArgument(ServiceError, ValueError):
    """A request field has a value that is not allowed."""


class RunNotFound(ServiceError, LookupError):
    """No run has this id."""


class LimitNotFound(ServiceError, LookupError):
    """No concurrency limit is set on this tag."""


class ResultNotFound(ServiceError, LookupError):
    """The service's own result storage does not have this result."""


class StorageFull(ServiceError, OSError):
    """The service's own result storage is full."""


class SessionExpired(ServiceError):
    """The session has expired or was ended."""


class ProposalConflict(ServiceError):
    """The proposal's id has already been used for another run."""


class RunConflict(ServiceError):
    """The id of the run to create already belongs to another run."""


class ProtocolViolation(ServiceError):
    """Client and service do not understand each other, for example because of incompatible versions."""


class DefinitionWarning(UserWarning):
    """A flow's or task's definition works but is probably a mistake."""
