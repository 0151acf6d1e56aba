"""Errors: what can be wrong with a call. They know no gRPC.

ClearwayError
├── InvalidArgumentError       a field's value is not allowed
├── RunNotFoundError           no run has this id
├── LimitNotFoundError         no limit is set on this tag
├── ResultNotFoundError        the service's own storage has no such result
├── StorageFullError           the service's own storage takes no more
├── SessionExpiredError        the session to resume is no longer alive
├── ProposalConflictError      the proposal's id was used for another run
├── RunConflictError           the id of the run to create is another run's
├── ProtocolError              the stream's messages came in a wrong order
├── BusyError                  the client has as much under way as it may
├── ShuttingDownError          the service is going down
└── StoreUnavailableError      the database did not accept the transaction
"""

from __future__ import annotations

from typing import ClassVar

from clearway.v1 import error_pb2


class ClearwayError(Exception):
    """A call that changed nothing, and why.

    Attributes:
        reason: The protocol's ``ErrorReason``.
        message: What was wrong with which value, and what would be right.
        field: The request's field that was wrong; empty if none was.
        metadata: What the error is about, with the keys that the protocol's ``ErrorReason`` lists.
    """

    reason: ClassVar[int]

    def __init__(self, message: str, field: str = "", /, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.metadata = metadata


def reason_of(error: BaseException) -> str:
    """Return what may be told of an error that is not ours, to clients and in the log.

    That is what SQLite said, and of the system's errors the number and its meaning. Of others it is only the
    kind, since their texts quote the values that they met.
    """
    error = getattr(error, "orig", None) or error
    if getattr(error, "sqlite_errorname", None):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"[Errno {error.errno}] {error.strerror}"
    return type(error).__name__


class InvalidArgumentError(ClearwayError):
    """A field's value is not allowed."""

    reason = error_pb2.ERROR_REASON_INVALID_ARGUMENT

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message, field, **({"field": field} if field else {}))


class RunNotFoundError(ClearwayError):
    """No run has this id."""

    reason = error_pb2.ERROR_REASON_RUN_NOT_FOUND


class LimitNotFoundError(ClearwayError):
    """No limit is set on this tag."""

    reason = error_pb2.ERROR_REASON_LIMIT_NOT_FOUND


class ResultNotFoundError(ClearwayError):
    """The service's own storage has no such result."""

    reason = error_pb2.ERROR_REASON_RESULT_NOT_FOUND


class StorageFullError(ClearwayError):
    """The service's own storage takes no more."""

    reason = error_pb2.ERROR_REASON_STORAGE_FULL


class SessionExpiredError(ClearwayError):
    """The session to resume is no longer alive."""

    reason = error_pb2.ERROR_REASON_SESSION_EXPIRED


class ProposalConflictError(ClearwayError):
    """The proposal's id was used for another run."""

    reason = error_pb2.ERROR_REASON_PROPOSAL_CONFLICT


class RunConflictError(ClearwayError):
    """The id of the run to create is another run's."""

    reason = error_pb2.ERROR_REASON_RUN_CONFLICT


class ProtocolError(ClearwayError):
    """The stream's messages came in a wrong order."""

    reason = error_pb2.ERROR_REASON_PROTOCOL


class BusyError(ClearwayError):
    """The client has as much under way as it may; it may try again."""

    reason = error_pb2.ERROR_REASON_BUSY


class ShuttingDownError(ClearwayError):
    """The service is going down; the client may try again."""

    reason = error_pb2.ERROR_REASON_SHUTTING_DOWN


class StoreUnavailableError(ClearwayError):
    """The database did not accept the transaction; nothing was changed."""

    reason = error_pb2.ERROR_REASON_STORE_UNAVAILABLE
