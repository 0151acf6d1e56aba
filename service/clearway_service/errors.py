"""Errors: the ways in which a call can fail, independent of gRPC.

ClearwayError
├── InvalidArgumentError       a field's value is not allowed
├── RunNotFoundError           no run has this id
├── LimitNotFoundError         no limit is set on this tag
├── ResultNotFoundError        the service's own storage has no such result
├── StorageFullError           the service's own storage is full
├── SessionExpiredError        the session has ended or is unknown
├── ProposalConflictError      the proposal's id was used for another run
├── RunConflictError           the id of the run to create is another run's
├── ProtocolError              the stream's messages came in a wrong order
├── BusyError                  the client has too much pending
├── ShuttingDownError          the service is shutting down
└── StoreUnavailableError      the database did not accept the transaction
"""

from __future__ import annotations

from typing import ClassVar

from clearway.v1 import error_pb2


class ClearwayError(Exception):
    """The base class: a call failed and changed nothing.

    Attributes:
        reason: The protocol's ``ErrorReason``.
        message: Names the value, what was wrong with it, and what would be valid.
        field: The path of the invalid field in the request; empty if no field was invalid.
        metadata: Details, with the keys documented in the protocol's ``ErrorReason``.
    """

    reason: ClassVar[int]

    def __init__(self, message: str, field: str = "", /, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.metadata = metadata


def reason_of(error: BaseException) -> str:
    """Return the description of a third-party error that is safe for clients and logs.

    For SQLite it is the message, for an OSError the number and its meaning. For any other error it is only
    the type, since messages may quote values that clients sent.
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
    """The service's own storage is full."""

    reason = error_pb2.ERROR_REASON_STORAGE_FULL


class SessionExpiredError(ClearwayError):
    """The session has ended or is unknown."""

    reason = error_pb2.ERROR_REASON_SESSION_EXPIRED


class ProposalConflictError(ClearwayError):
    """The proposal's id was used for another run."""

    reason = error_pb2.ERROR_REASON_PROPOSAL_CONFLICT


class RunConflictError(ClearwayError):
    """Another run has the id of the run to create."""

    reason = error_pb2.ERROR_REASON_RUN_CONFLICT


class ProtocolError(ClearwayError):
    """The stream's messages came in the wrong order."""

    reason = error_pb2.ERROR_REASON_PROTOCOL


class BusyError(ClearwayError):
    """The client has too much pending; it may try again."""

    reason = error_pb2.ERROR_REASON_BUSY


class ShuttingDownError(ClearwayError):
    """The service is shutting down; the client may try again."""

    reason = error_pb2.ERROR_REASON_SHUTTING_DOWN


class StoreUnavailableError(ClearwayError):
    """The database did not accept the transaction; nothing was changed."""

    reason = error_pb2.ERROR_REASON_STORE_UNAVAILABLE
