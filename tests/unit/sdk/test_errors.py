from __future__ import annotations

import pickle

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from clearway import exceptions
from clearway._transport.errors import exception_for, exception_from_status
from clearway.v1 import error_pb2

REASONS = [name for name in error_pb2.ErrorReason.keys() if not name.endswith("UNSPECIFIED")]  # noqa: SIM118


def status(reason: str, field: str = "", domain: str = "clearway", **metadata: str) -> bytes:
    message = Status(code=3, message="what was wrong")
    for detail in (
        ErrorInfo(reason=reason, domain=domain, metadata=metadata),
        BadRequest(field_violations=[BadRequest.FieldViolation(field=field)] if field else []),
    ):
        packed = AnyMessage()
        packed.Pack(detail)
        message.details.append(packed)
    serialized: bytes = message.SerializeToString()
    return serialized


@pytest.mark.parametrize("name", REASONS)
def test_every_reason_has_an_exception_of_its_own(name: str) -> None:
    number = error_pb2.ErrorReason.Value(name)
    error = exception_from_status("UNKNOWN", "", status(name, "tag", run_id="r"), "host:1")
    assert type(error) is type(exception_for(number, ""))
    assert type(error) is not exceptions.ServiceError
    assert (error.reason, error.field, str(error)) == (number, "tag", "what was wrong")
    assert error.metadata == {"run_id": "r"}


def test_a_reason_without_its_prefix_is_not_taken_for_ours() -> None:
    found = status("RUN_NOT_FOUND")
    assert type(exception_from_status("NOT_FOUND", "x", found, "host:1")) is exceptions.ServiceError


def test_a_reason_of_a_later_version_falls_back_to_the_status() -> None:
    error = exception_from_status("INVALID_ARGUMENT", "details", status("ERROR_REASON_BRAND_NEW"), "host:1")
    assert type(error) is exceptions.InvalidArgument
    assert type(exception_for(999, "new")) is exceptions.ServiceError


def test_another_services_details_are_not_taken_for_ours() -> None:
    found = status("ERROR_REASON_RUN_NOT_FOUND", domain="example.org")
    assert type(exception_from_status("NOT_FOUND", "x", found, "host:1")) is exceptions.ServiceError


def test_details_that_are_no_status_do_no_harm() -> None:
    assert type(exception_from_status("UNKNOWN", "x", b"\xff\xff", "host:1")) is exceptions.ServiceError


@pytest.mark.parametrize(
    ("details", "why"),
    [
        ("last error: ipv4:127.0.0.1:1: Failed to connect: Connection refused", "the connection was refused"),
        ("DNS resolution failed for nowhere:1", "its name cannot be resolved"),
        ("errors resolving nowhere:1: [Domain name not found]", "its name cannot be resolved"),
        ("last error: UNAVAILABLE: Failed parsing HTTP/2 (Expected SETTINGS)", "does not speak gRPC"),
        (
            "last error: attempt timed out before receiving SETTINGS frame",
            "does not respond",
        ),
        ("Deadline Exceeded", "it did not answer in time"),
        ("", "it did not answer"),
    ],
)
def test_a_server_that_cannot_be_reached_is_named_with_the_setting(details: str, why: str) -> None:
    error = exception_from_status("UNAVAILABLE", details, None, "host:1")
    assert isinstance(error, exceptions.ServerUnavailable)
    assert isinstance(error, ConnectionError)
    text = str(error)
    assert "host:1" in text
    assert "CLEARWAY_ADDRESS" in text
    assert why in text
    assert "clearway server start" in text


def test_a_server_of_another_kind_is_recognised() -> None:
    error = exception_from_status("UNIMPLEMENTED", "Method not found!", None, "host:1")
    assert isinstance(error, exceptions.ProtocolViolation)
    assert "host:1 does not know this call" in str(error)


@pytest.mark.parametrize(
    "error",
    [
        exceptions.InvalidArgument("m", 1, "f", {"field": "f"}),
        exceptions.MissingResult("m", "/x"),
        exceptions.UntrustedResult("m", "/x"),
        exceptions.UnreadableResult("m", "/x"),
        exceptions.Aborted("m", 2),
        exceptions.UpstreamTaskError("m"),
    ],
)
def test_exceptions_survive_pickling(error: exceptions.ClearwayError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (str(copy), vars(copy)) == (str(error), vars(error))


def test_the_tree_in_the_docstring_names_every_exception() -> None:
    document = exceptions.__doc__ or ""
    for name, kind in vars(exceptions).items():
        if isinstance(kind, type) and issubclass(kind, exceptions.ClearwayError):
            assert f" {name}" in document
