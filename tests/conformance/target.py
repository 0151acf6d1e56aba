"""Target: the service that scenarios are played against."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, Protocol

from google.protobuf.message import Message

from clearway.v1.proposal_pb2 import Decision, ProposeRequest, Welcome
from support.client import Failure


class CallError(Exception):
    """A call failed, or a stream ended.

    Attributes:
        failure: How it failed.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.code.name} {failure.reason}: {failure.message}")
        self.failure = failure


class OpenStream(Protocol):
    """An open stream."""

    def welcome(self) -> Welcome:
        """Return the service's first message. Raises CallError if the stream ended instead."""

    def send(self, message: ProposeRequest) -> None:
        """Send a message."""

    def decision(self, proposal_id: str) -> Decision:
        """Return the next decision on a proposal. Raises CallError if the stream ended instead."""

    def pong(self, number: int) -> None:
        """Wait for the pong with this number."""

    def unread(self) -> list[Decision]:
        """Return the decisions received so far that no step has awaited."""

    def half_close(self) -> None:
        """Close the client's side."""

    def kill(self) -> None:
        """Break the stream without a goodbye."""

    def end(self) -> Failure:
        """Wait for the end of the stream, and return how it ended."""


class Target(Protocol):
    """A service.

    Attributes:
        offers: Its abilities, of `clock`, `restart`, `wire`.
        clock_stands: Whether its clock stands still until it is moved.
    """

    offers: frozenset[str]
    clock_stands: bool

    def call(self, method: str, request: Message) -> Future[Any]:
        """Start a unary call; the future gets its response or a CallError."""

    def open(self, first: ProposeRequest) -> OpenStream:
        """Open a stream with its first message."""

    def advance(self, seconds: float) -> None:
        """Move the service's clock, and wait until everything due by then is done."""

    def restart(self) -> None:
        """Kill the service, and restart it."""
