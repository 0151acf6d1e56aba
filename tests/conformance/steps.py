"""Steps: what a scenario does, one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = Any


@dataclass(frozen=True)
class Expected:
    """What an answer has to be.

    Attributes:
        message: The fields that count; None where the call has to fail.
        error: The facts of the failure that count; None where the call has to succeed.
        save: Paths of fields to remember, by the name to remember them under.
    """

    message: Json = None
    error: Json = None
    save: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """Make a unary call.

    Attributes:
        method: The RPC.
        request: Its request.
        expected: What is to be answered.
        background: Under which name the call is awaited by a later step; empty to await it here.
        eventually: Whether the call is repeated until its answer is as expected.
    """

    method: str
    request: Json
    expected: Expected
    background: str = ""
    eventually: bool = False


@dataclass(frozen=True)
class Await:
    """Await a call that was begun in the background.

    Attributes:
        name: Its name.
        method: Its RPC.
        expected: What is to be answered.
    """

    name: str
    method: str
    expected: Expected


@dataclass(frozen=True)
class Open:
    """Open a stream with a first message.

    Attributes:
        stream: Its name in the scenario.
        first: The first message.
        expected: What the welcome is to be, or how the stream is to end without one.
    """

    stream: str
    first: Json
    expected: Expected


@dataclass(frozen=True)
class Exchange:
    """Send a message on a stream, if there is one, and await answers.

    Attributes:
        stream: Its name.
        message: What to send; None for nothing.
        decisions: What the next decisions about the proposals that they name are to be.
        pong: The number of the pong to await; 0 for none.
        save: Paths of fields of the last of the decisions to remember, by name.
    """

    stream: str
    message: Json
    decisions: list[Json]
    pong: int
    save: dict[str, str]


@dataclass(frozen=True)
class HalfClose:
    """Close the client's side of a stream.

    Attributes:
        stream: Its name.
    """

    stream: str


@dataclass(frozen=True)
class Kill:
    """Break a stream without a word, as a client does that dies.

    Attributes:
        stream: Its name.
    """

    stream: str


@dataclass(frozen=True)
class Ended:
    """Await the end of a stream.

    Attributes:
        stream: Its name.
        expected: How it is to end; without an error, well.
    """

    stream: str
    expected: Expected


@dataclass(frozen=True)
class Advance:
    """Move the service's clock.

    Attributes:
        seconds: By how much.
        until: A call that is made after that; while its answer is not as expected, the clock is moved again.
    """

    seconds: float
    until: Call | None


@dataclass(frozen=True)
class Restart:
    """Kill the service's process, and start it again on the same database."""


Step = Call | Await | Open | Exchange | HalfClose | Kill | Ended | Advance | Restart


@dataclass(frozen=True)
class Scenario:
    """What a service has to do.

    Attributes:
        name: A sentence that says it.
        why: What would go wrong otherwise.
        needs: What it takes beside calls: `clock`, `restart`, `wire`.
        steps: In order, those of its file's `before` first.
        file: The name of its file.
    """

    name: str
    why: str
    needs: frozenset[str]
    steps: tuple[Step, ...]
    file: str
