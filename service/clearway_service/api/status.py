"""Status: maps errors to gRPC status codes and details."""

from __future__ import annotations

from google.protobuf.any_pb2 import Any
from google.rpc import code_pb2, error_details_pb2, status_pb2

from clearway.v1 import error_pb2
from clearway_service.errors import ClearwayError

DOMAIN = "clearway"

_CODES: dict[int, int] = {
    error_pb2.ERROR_REASON_INVALID_ARGUMENT: code_pb2.INVALID_ARGUMENT,
    error_pb2.ERROR_REASON_RUN_NOT_FOUND: code_pb2.NOT_FOUND,
    error_pb2.ERROR_REASON_LIMIT_NOT_FOUND: code_pb2.NOT_FOUND,
    error_pb2.ERROR_REASON_RESULT_NOT_FOUND: code_pb2.NOT_FOUND,
    error_pb2.ERROR_REASON_STORAGE_FULL: code_pb2.RESOURCE_EXHAUSTED,
    error_pb2.ERROR_REASON_SESSION_EXPIRED: code_pb2.FAILED_PRECONDITION,
    error_pb2.ERROR_REASON_PROPOSAL_CONFLICT: code_pb2.ALREADY_EXISTS,
    error_pb2.ERROR_REASON_RUN_CONFLICT: code_pb2.ALREADY_EXISTS,
    error_pb2.ERROR_REASON_PROTOCOL: code_pb2.FAILED_PRECONDITION,
    error_pb2.ERROR_REASON_BUSY: code_pb2.RESOURCE_EXHAUSTED,
    error_pb2.ERROR_REASON_SHUTTING_DOWN: code_pb2.UNAVAILABLE,
    error_pb2.ERROR_REASON_STORE_UNAVAILABLE: code_pb2.UNAVAILABLE,
}
# Calls that may succeed if they are retried unchanged.
_TEMPORARY = frozenset(
    {
        error_pb2.ERROR_REASON_BUSY,
        error_pb2.ERROR_REASON_SHUTTING_DOWN,
        error_pb2.ERROR_REASON_STORE_UNAVAILABLE,
    }
)
_RETRY_SECONDS = 1


def status_of(error: ClearwayError) -> status_pb2.Status:
    """Return the status of a failed call: code, message and machine-readable details."""
    status = status_pb2.Status(code=_CODES[error.reason], message=error.message)
    reason = error_pb2.ErrorReason.Name(error_pb2.ErrorReason.ValueType(error.reason))
    _attach(status, error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=error.metadata))
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=error.message)
        _attach(status, error_details_pb2.BadRequest(field_violations=[violation]))
    if error.reason in _TEMPORARY:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.seconds = _RETRY_SECONDS
        _attach(status, retry)
    return status


def _attach(
    status: status_pb2.Status,
    detail: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo,
) -> None:
    packed = Any()
    packed.Pack(detail)
    status.details.append(packed)
