"""Cases: an invalid request with the expected status, details and message."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode

UNKNOWN = "0198c5a1-7c1e-7d3a-9f52-3f1d2a6b8c4e"
BAD_IDS = ("42", "0198c5a1-7c1e-7d3a-9f52-3f1d2a6b8c4", "not-an-id", "\0")
BAD_TIMES = (
    Timestamp(seconds=-1),
    Timestamp(seconds=253_402_300_800),
    Timestamp(nanos=-1),
    Timestamp(nanos=1_000_000_000),
)
BAD_DURATIONS = (
    Duration(seconds=-1),
    Duration(nanos=-1),
    Duration(seconds=1, nanos=-1),
    Duration(nanos=1_000_000_000),
    Duration(seconds=315_360_001),
    Duration(seconds=2**62),
)


class World(NamedTuple):
    """The existing runs: a flow run and a task run."""

    flow: str
    task: str


class Case(NamedTuple):
    """An invalid request.

    Attributes:
        method: The RPC.
        build: Builds the request.
        field: The expected field in the details.
        said: The expected part of the message.
        code: The expected status.
        reason: The expected reason in the details.
    """

    method: str
    build: Callable[[World], Message]
    field: str
    said: str
    code: StatusCode = StatusCode.INVALID_ARGUMENT
    reason: str = "ERROR_REASON_INVALID_ARGUMENT"


Build = Callable[[World, Any], Message]


def wrong(method: str, field: str, build: Build, values: Iterable[tuple[Any, str]]) -> list[Case]:
    """Return a case for each of ``values``: pairs of a value and the expected part of the message."""
    return [Case(method, _bind(build, value), field, said) for value, said in values]


def missing(method: str, field: str, request: Message) -> list[Case]:
    """Return the case of a request without ``field``."""
    return [Case(method, lambda _: request, field, "not set")]


def not_found(method: str, field: str, build: Build, said: str = UNKNOWN) -> list[Case]:
    """Return the case of a name that does not exist."""
    reason = (
        "ERROR_REASON_LIMIT_NOT_FOUND"
        if "Limit" in method or "Slot" in method
        else "ERROR_REASON_RUN_NOT_FOUND"
    )
    return [Case(method, _bind(build, said), field, said, StatusCode.NOT_FOUND, reason)]


def _bind(build: Build, value: Any) -> Callable[[World], Message]:
    def make(world: World) -> Message:
        return build(world, value)

    return make


def said_as(values: Iterable[Any], say: Callable[[Any], str] = repr) -> list[tuple[Any, str]]:
    """Return each of ``values`` with its form in messages."""
    return [(value, say(value)) for value in values]


def too_long(longest: int) -> list[tuple[str, str]]:
    """Return a text that is one character too long, and its length."""
    return [("x" * (longest + 1), str(longest + 1))]


def say_time(time: Timestamp) -> str:
    """Return a time in the form of messages."""
    return f"{time.seconds} s {time.nanos} ns"


WRONG_IDS = said_as(BAD_IDS)
WRONG_TIMES = said_as(BAD_TIMES, say_time)
WRONG_DURATIONS = [(span, " s") for span in BAD_DURATIONS]
