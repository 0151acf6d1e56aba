"""Steps: the actions of a scenario, in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = Any


@dataclass(frozen=True)
class Expected:
    """The expectation for a response.

    Attributes:
        message: The expected fields; None if the call must fail.
        error: The expected facts of the failure; None if the call must succeed.
        save: The paths of fields to save, by the name to save them under.
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
        expected: The expected response.
        background: The name under which a later step awaits the call; empty to await it here.
        eventually: Whether the call is repeated until its response is as expected.
    """

    method: str
    request: Json
    expected: Expected
    background: str = ""
    eventually: bool = False


@dataclass(frozen=True)
class Await:
    """Await a call that was started in the background.

    Attributes:
        name: Its name.
        method: Its RPC.
        expected: The expected response.
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
        expected: The expected welcome, or how the stream must end without one.
    """

    stream: str
    first: Json
    expected: Expected


@dataclass(frozen=True)
class Exchange:
    """Optionally send a message on a stream, and await decisions or a pong.

    Attributes:
        stream: Its name.
        message: The message to send; None for none.
        decisions: The expected next decisions on the proposals they name.
        pong: The number of the pong to await; 0 for none.
        save: The paths of fields of the last decision to save, by name.
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
    """Break a stream without a goodbye, as a dying client does.

    Attributes:
        stream: Its name.
    """

    stream: str


@dataclass(frozen=True)
class Ended:
    """Await the end of a stream.

    Attributes:
        stream: Its name.
        expected: How it must end; without an error, with status OK.
    """

    stream: str
    expected: Expected


@dataclass(frozen=True)
class Advance:
    """Move the service's clock.

    Attributes:
        seconds: By how many seconds.
        until: A call made afterwards; the clock is moved again until its response is as expected.
    """

    seconds: float
    until: Call | None


@dataclass(frozen=True)
class Restart:
    """Kill the service's process, and restart it on the same database."""


Step = Call | Await | Open | Exchange | HalfClose | Kill | Ended | Advance | Restart


@dataclass(frozen=True)
class Scenario:
    """One requirement on a service, as steps.

    Attributes:
        name: The requirement as a sentence.
        why: What would go wrong without it.
        needs: Required abilities of the target: `clock`, `restart`, `wire`.
        steps: The steps in order, those of the file's `before` first.
        file: The name of its file.
    """

    name: str
    why: str
    needs: frozenset[str]
    steps: tuple[Step, ...]
    file: str
