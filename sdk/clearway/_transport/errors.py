"""Converting the service's errors to the SDK's exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from google.protobuf.message import DecodeError

from clearway.exceptions import (
    InvalidArgument,
    LimitNotFound,
    ProposalConflict,
    ProtocolViolation,
    ResultNotFound,
    RunConflict,
    RunNotFound,
    ServerUnavailable,
    ServiceError,
    SessionExpired,
    StorageFull,
)
from clearway.v1 import error_pb2

_DOMAIN: Final = "clearway"
_ADVICE: Final = (
    ". Start one there with `clearway server start`, or unset CLEARWAY_ADDRESS to run without a server"
)

_EXCEPTIONS: Final[dict[int, type[ServiceError]]] = {
    error_pb2.ERROR_REASON_INVALID_ARGUMENT: InvalidArgument,
    error_pb2.ERROR_REASON_RUN_NOT_FOUND: RunNotFound,
    error_pb2.ERROR_REASON_LIMIT_NOT_FOUND: LimitNotFound,
    error_pb2.ERROR_REASON_RESULT_NOT_FOUND: ResultNotFound,
    error_pb2.ERROR_REASON_STORAGE_FULL: StorageFull,
    error_pb2.ERROR_REASON_SESSION_EXPIRED: SessionExpired,
    error_pb2.ERROR_REASON_PROPOSAL_CONFLICT: ProposalConflict,
    error_pb2.ERROR_REASON_RUN_CONFLICT: RunConflict,
    error_pb2.ERROR_REASON_PROTOCOL: ProtocolViolation,
    error_pb2.ERROR_REASON_BUSY: ServerUnavailable,
    error_pb2.ERROR_REASON_SHUTTING_DOWN: ServerUnavailable,
    error_pb2.ERROR_REASON_STORE_UNAVAILABLE: ServerUnavailable,
}
"""One per reason. A reason added by a newer service becomes a plain ``ServiceError``."""

_STATUSES: Final[dict[str, type[ServiceError]]] = {
    "UNAVAILABLE": ServerUnavailable,
    "DEADLINE_EXCEEDED": ServerUnavailable,
    "CANCELLED": ServerUnavailable,
    "INVALID_ARGUMENT": InvalidArgument,
    "RESOURCE_EXHAUSTED": InvalidArgument,
    "UNIMPLEMENTED": ProtocolViolation,
}
"""For a status without our error details, such as gRPC's own or a proxy's."""


def exception_for(
    reason: int, message: str, field: str = "", metadata: Mapping[str, str] | None = None
) -> ServiceError:
    """Return the exception for an error reason."""
    return _EXCEPTIONS.get(reason, ServiceError)(message, reason, field, metadata)


def exception_from_status(code: str, details: str, status: bytes | None, address: str) -> ServiceError:
    """Return the exception for a failed call.

    Args:
        code: The name of the gRPC status code.
        details: The status message.
        status: The serialized ``google.rpc.Status`` from the trailers; None if there was none.
        address: The server's address.
    """
    known = _from_details(status, details)
    if known is not None:
        return known
    kind = _STATUSES.get(code, ServiceError)
    if kind is ServerUnavailable:
        return unreachable(address, _why(details))
    if code == "UNIMPLEMENTED":
        details = (
            f"the server at {address} does not know this call; is it an older Clearway, or another service?"
        )
    return kind(details or f"the server at {address} returned {code}")


def unreachable(address: str, why: str) -> ServerUnavailable:
    """Return the exception for a server that cannot be reached."""
    return ServerUnavailable(
        f"cannot reach the Clearway server at {address} (the setting CLEARWAY_ADDRESS): {why}{_ADVICE}"
    )


def short_reason(failure: ServiceError) -> str:
    """Return why a server could not be reached, of what ``unreachable`` says."""
    return str(failure).removesuffix(_ADVICE).rpartition("(the setting CLEARWAY_ADDRESS): ")[2]


def _from_details(status: bytes | None, details: str) -> ServiceError | None:
    if not status:
        return None
    from google.rpc.error_details_pb2 import BadRequest, ErrorInfo  # noqa: PLC0415 - most calls do not fail
    from google.rpc.status_pb2 import Status  # noqa: PLC0415

    try:
        message = Status.FromString(status)
    except DecodeError:
        return None
    reason, field = 0, ""
    metadata: dict[str, str] = {}
    for detail in message.details:
        info, bad = ErrorInfo(), BadRequest()
        if detail.Unpack(info) and info.domain == _DOMAIN:
            reason = dict(error_pb2.ErrorReason.items()).get(info.reason, 0)
            metadata = dict(info.metadata)
        elif detail.Unpack(bad) and bad.field_violations:
            field = bad.field_violations[0].field
    if not reason:
        return None
    return exception_for(reason, message.message or details, field or metadata.get("field", ""), metadata)


def _why(details: str) -> str:
    for sign, why in (
        ("Connection refused", "the connection was refused"),
        ("DNS resolution failed", "its name cannot be resolved"),
        ("errors resolving", "its name cannot be resolved"),
        ("Failed parsing HTTP/2", "the program that listens there does not speak gRPC"),
        ("before receiving SETTINGS", "the program that listens there does not respond like a gRPC server"),
        ("Deadline Exceeded", "it did not answer in time"),
        ("Socket closed", "it closed the connection"),
    ):
        if sign in details:
            return why
    return details or "it did not answer"
