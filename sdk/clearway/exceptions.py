"""What can go wrong, as types.

    ClearwayError
    ├── InvalidSetting              (ValueError)       a setting's value is not allowed
    ├── ReservedArgument            (TypeError)        a flow's or task's parameter has a name of ours
    ├── ParameterBindError          (TypeError)        a call's arguments do not fit the function
    ├── ParameterTypeError          (TypeError)        a flow's argument is not what its annotation says
    ├── MappingLengthMismatch       (ValueError)       ``map`` was given iterables of different lengths
    ├── NothingToMap                (ValueError)       ``map`` was given no iterable
    ├── MissingContext              (RuntimeError)     called outside the run that it needs
    ├── NestedTask                  (RuntimeError)     a task was called from within a task
    ├── Deadlock                    (RuntimeError)     waiting here would never end
    ├── NotAwaited                  (TypeError)        a function returned something that is yet to be awaited
    ├── NotPicklable                (TypeError)        something cannot be sent to, or from, a worker process
    ├── MissingResult               (LookupError)      a result is gone, or is not what was written
    │   └── UntrustedResult                            reading it is refused: by a setting, or by where it is
    ├── UnreadableResult            (OSError)          a result cannot be read at present, and may be there
    ├── UnkeptResult                (RuntimeError)     a result that must be kept cannot be
    ├── RunFailure                                     a run has no result, and no exception of its own
    │   ├── FailedRun
    │   ├── CrashedRun
    │   │   ├── LostRun                                the service took this process for dead meanwhile
    │   │   └── WorkerDied                             the process that ran the code is gone
    │   ├── CancelledRun
    │   ├── UnfinishedRun
    │   └── UpstreamTaskError                          the run never began: something it depends on failed
    ├── Aborted                                        the service said that a run must not continue
    ├── ClientClosed                (RuntimeError)     the connection was closed by this process
    ├── ForkedProcess               (RuntimeError)     gRPC was used before this process was forked
    └── ServiceError                                   a call was refused; has ``reason`` and ``metadata``
        ├── ServerUnavailable       (ConnectionError)  nobody answered, or the service can take nothing now
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
    DefinitionWarning               (UserWarning)      a definition works, and is probably not what was meant

An exception that a user's own code raised is never wrapped in one of these: the caller sees it as it was
raised.
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
    """A flow or task has a parameter ``return_state`` or ``wait_for``, which calls use themselves."""


class ParameterBindError(ClearwayError, TypeError):
    """A flow or task was called with arguments that do not fit its function."""


class ParameterTypeError(ClearwayError, TypeError):
    """A flow was called with an argument that is not what its annotation says, and cannot be made so."""


class MappingLengthMismatch(ClearwayError, ValueError):
    """``map`` was given iterables of different lengths."""


class NothingToMap(ClearwayError, ValueError):
    """``map`` was given no iterable to map over."""


class MissingContext(ClearwayError, RuntimeError):
    """Something was called outside the run that it needs, such as a task outside a flow."""


class NestedTask(ClearwayError, RuntimeError):
    """A task was called from within a task; call its function with ``.fn()``."""


class Deadlock(ClearwayError, RuntimeError):
    """Waiting for a run would never end, since it needs the event loop that the waiting would block.

    Either its own code does, or that of a run which holds what it waits for: a slot, a cache key, a permit.
    """


class NotAwaited(ClearwayError, TypeError):
    """A flow's or task's function returned a coroutine, or something else that is yet to be awaited."""


class NotPicklable(ClearwayError, TypeError):
    """An argument, a task or a result cannot be sent between this process and the one that runs its code."""


class MissingResult(ClearwayError, LookupError):
    """A result cannot be read: it is gone, or what is there is not what was written.

    Attributes:
        location: Where the result was expected; empty where that is not known.
    """

    def __init__(self, message: str, location: str = "") -> None:
        super().__init__(message)
        self.location = location


class UntrustedResult(MissingResult):
    """Reading a result is refused; nothing was read, and nothing that a location names was opened.

    Its encoding is one that ``CLEARWAY_RESULT_SERIALIZERS`` does not allow; or it is not signed with
    ``CLEARWAY_RESULT_SIGNING_KEY``; or its location is not that of a result in one of the storages that this
    process is configured with; or what is there is a link or another thing than a file.
    """


class UnreadableResult(ClearwayError, OSError):
    """A result cannot be read at present, and may well be there; the cache is left as it is.

    The process has no file descriptor left, it may not read the file, the disk fails, or the service or
    another storage cannot be reached. Read the result again once that is mended. ``__cause__`` is the error
    itself.

    Attributes:
        location: Where the result is expected.
    """

    def __init__(self, message: str, location: str = "") -> None:
        super().__init__(message)
        self.location = location


class UnkeptResult(ClearwayError, RuntimeError):
    """A result could not be kept, and its task has ``persist_result=True``."""


class RunFailure(ClearwayError):
    """A run's result was asked for, and it has none, nor an exception that can be raised here.

    Attributes:
        error: What the run's code raised, in its portable form, if the exception itself cannot be loaded: its
            class is not installed here, or it could not be pickled. None if the code raised nothing.
    """

    error: RunError | None = None


class FailedRun(RunFailure):
    """The run failed without an exception that could be kept."""


class CrashedRun(RunFailure):
    """The run was stopped by its surroundings: interrupted, or its process died."""


class LostRun(CrashedRun):
    """The service took this process for dead and ended its runs; the process came back, and goes no further.

    Raised where the run's code next asks something of Clearway. What it does after that counts no more: the
    slots that it held are others' by then.
    """


class WorkerDied(CrashedRun):
    """The process that ran the code ended before the code did: it was killed, or left by itself."""


class CancelledRun(RunFailure):
    """The run was cancelled."""


class UnfinishedRun(RunFailure):
    """The run has not ended yet."""


class UpstreamTaskError(RunFailure):
    """The run never began, because something that it depends on did not complete.

    Attributes:
        error: Which input that was, as an error of the kind ``RunErrorKind.UPSTREAM``; its ``cause`` is the
            error of that input. None in an exception that a user raises.
    """


class Aborted(ClearwayError):
    """The service said that a run must not go on.

    Attributes:
        reason: The number of the protocol's ``AbortReason``.
    """

    def __init__(self, message: str, reason: int = 0) -> None:
        super().__init__(message)
        self.reason = reason


class ClientClosed(ClearwayError, RuntimeError):
    """The connection to the service was closed by this process: nothing can be sent or answered any more."""


class ForkedProcess(ClearwayError, RuntimeError):
    """A connection was asked for in a process that was forked from one with a gRPC connection of its own."""


class ServiceError(ClearwayError):
    """The service refused a call, or could not be reached.

    Attributes:
        reason: The number of the protocol's ``ErrorReason``; 0 if the service gave none.
        field: The request's field that was wrong; empty if none is named.
        metadata: What the error is about, such as ``{"run_id": "..."}``. The protocol lists the keys of each
            reason; empty if the service named nothing.
    """

    def __init__(
        self, message: str, reason: int = 0, field: str = "", metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.field = field
        self.metadata = dict(metadata or {})


class ServerUnavailable(ServiceError, ConnectionError):
    """Nobody answered at the configured address, or the service can take nothing at present."""


class InvalidArgument(ServiceError, ValueError):
    """A field of a request has a value that is not allowed."""


class RunNotFound(ServiceError, LookupError):
    """No run has this id."""


class LimitNotFound(ServiceError, LookupError):
    """No concurrency limit is set on this tag."""


class ResultNotFound(ServiceError, LookupError):
    """The service's own storage has no such result."""


class StorageFull(ServiceError, OSError):
    """The service's own storage takes no more."""


class SessionExpired(ServiceError):
    """The session is no longer alive."""


class ProposalConflict(ServiceError):
    """The proposal's id was used for another run."""


class RunConflict(ServiceError):
    """The id of the run to create is another run's."""


class ProtocolViolation(ServiceError):
    """The two ends do not understand each other, as with versions that are too far apart."""


class DefinitionWarning(UserWarning):
    """A flow's or task's definition works, and is probably not what was meant."""
