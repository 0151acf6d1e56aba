"""Target: the service that scenarios are played on."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, Protocol

from google.protobuf.message import Message

from clearway.v1.proposal_pb2 import Decision, ProposeRequest, Welcome
from support.client import Failure


class CallError(Exception):
    """A call failed, or a stream ended.

    Attributes:
        failure: How.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.code.name} {failure.reason}: {failure.message}")
        self.failure = failure


class OpenStream(Protocol):
    """A stream that was opened."""

    def welcome(self) -> Welcome:
        """Return what the service said first. Raises CallError where the stream ended instead."""

    def send(self, message: ProposeRequest) -> None:
        """Send a message."""

    def decision(self, proposal_id: str) -> Decision:
        """Return the next decision about a proposal. Raises CallError where the stream ended instead."""

    def pong(self, number: int) -> None:
        """Return when the pong with this number has come."""

    def unread(self) -> list[Decision]:
        """Return the decisions that came so far and that nobody asked for."""

    def half_close(self) -> None:
        """Close the client's side."""

    def kill(self) -> None:
        """Break the stream without a word."""

    def end(self) -> Failure:
        """Return how the stream ended, waiting for that."""


class Target(Protocol):
    """A service.

    Attributes:
        offers: What it can do beside calls: of `clock`, `restart`, `wire`.
        clock_stands: Whether its clock moves only where it is moved.
    """

    offers: frozenset[str]
    clock_stands: bool

    def call(self, method: str, request: Message) -> Future[Any]:
        """Begin a unary call; the future has its response, or a CallError."""

    def open(self, first: ProposeRequest) -> OpenStream:
        """Open a stream with its first message."""

    def advance(self, seconds: float) -> None:
        """Move the service's clock, and return when what is due by then is done."""

    def restart(self) -> None:
        """Kill the service, and start it again."""
