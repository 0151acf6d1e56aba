"""The effects that the steps of a run wait for.

The steps of a run are a generator that yields effects and is sent the reply to each. It does not know whether
a thread blocks on an effect, a coroutine awaits it, or a callback continues when it is done (see
``trampoline`` and ``submission``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from concurrent.futures import Future as ConcurrentFuture
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from clearway._base.clock import get_clock
from clearway._base.error_kinds import RunErrorKind
from clearway._transport.decision_future import Answered
from clearway._transport.protocol import Transport
from clearway._waiting.blocked_loop import refuse_deadlock, running_loop, wait_told_on_loop
from clearway._waiting.sigint import unshielded, wait_told
from clearway.exceptions import WorkerDied
from clearway.futures import Future
from clearway.states import State
from clearway.v1.proposal_pb2 import Decision, Proposal

if TYPE_CHECKING:
    import asyncio


class Effect(Protocol):
    """Something that takes time."""

    def block(self) -> Any:
        """Do it, blocking this thread, and return the reply."""
        ...

    async def wait(self) -> Any:
        """Do it without blocking, and return the reply."""
        ...


Steps: TypeAlias = Generator[Effect, Any, State[Any]]


@dataclass(slots=True)
class Propose:
    """Send a proposal; the reply is the service's final decision."""

    transport: Transport
    proposal: Proposal
    on_wait: Callable[[Decision], None] | None = None
    held_up: Callable[[asyncio.AbstractEventLoop], str] | None = None

    def block(self) -> Decision:
        """Block until the decision.

        Raises:
            Deadlock: It would never come, as what the run waits for is held by code of the event loop that
                this thread blocks.
        """
        future = self.transport.propose(self.proposal, self.on_wait)
        loop = running_loop()
        if loop is None or self.held_up is None:
            wait_told(future)
        else:
            wait_told_on_loop(future, partial(refuse_deadlock, partial(self.held_up, loop)))
        return future.result()

    async def wait(self) -> Decision:
        """Await the decision."""
        from clearway._waiting.loop_calls import settled  # noqa: PLC0415 - sync flows need no asyncio

        return await settled(self.transport.propose(self.proposal, self.on_wait))


@dataclass(slots=True)
class Answer:
    """Wait for the response to a call that was made; the reply is the response."""

    future: Answered[Any]

    def block(self) -> Any:
        """Block until the response."""
        wait_told(self.future)
        return self.future.result()

    async def wait(self) -> Any:
        """Await the response."""
        from clearway._waiting.loop_calls import settled  # noqa: PLC0415 - as above

        return await settled(self.future)


@dataclass(slots=True)
class Sleep:
    """Sleep."""

    seconds: float

    def block(self) -> None:
        """Sleep in this thread."""
        with unshielded():
            get_clock().sleep(self.seconds)

    async def wait(self) -> None:
        """Sleep in this coroutine."""
        await get_clock().wait(self.seconds)


@dataclass(slots=True)
class WaitFor:
    """Wait until other task runs are done, whatever their final states."""

    futures: Sequence[Future[Any]]

    def block(self) -> None:
        """Block on one future after the other."""
        for future in self.futures:
            future.block()

    async def wait(self) -> None:
        """Await one future after the other."""
        for future in self.futures:
            await future.wait_done()


@dataclass(slots=True)
class Admit:
    """Wait for a permit, if the run was submitted; a direct call needs none."""

    def block(self) -> None:
        """Do nothing."""

    async def wait(self) -> None:
        """Do nothing."""


ADMIT = Admit()


@dataclass(slots=True)
class Outcome:
    """How a user's code ended: it returned, raised or timed out.

    Attributes:
        value: What it returned.
        error: What it raised, or why its result cannot be read; None if it returned.
        timed_out: Whether it timed out; ``error`` is then the ``TimeoutError``.
        unread: Whether it returned a result that cannot be read.
    """

    value: Any = None
    error: Exception | None = None
    timed_out: bool = False
    unread: bool = False

    @property
    def kind(self) -> RunErrorKind:
        """The kind of ``error``, for the run's state."""
        if isinstance(self.error, WorkerDied):
            return RunErrorKind.LOST
        return RunErrorKind.RESULT if self.unread else RunErrorKind.APPLICATION


@dataclass(slots=True)
class Execute:
    """Run a user's code; the reply is its ``Outcome``."""

    call: Callable[[], Any]

    def block(self) -> Outcome:
        """Run the code in this thread."""
        try:
            with unshielded():
                return Outcome(self.call())
        except Exception as error:  # noqa: BLE001 - the user's; it becomes the run's state
            return Outcome(error=_folded(error))

    async def wait(self) -> Outcome:
        """Run the code, and await what it returns if that is awaitable."""
        try:
            value = self.call()
            return Outcome(await value if isinstance(value, Awaitable) else value)
        except Exception as error:  # noqa: BLE001 - as above
            return Outcome(error=_folded(error))


def _folded(error: Exception) -> Exception:
    from clearway._base.tracebacks import folded  # noqa: PLC0415 - most code raises nothing

    folded(error)
    return error


@dataclass(slots=True)
class Work:
    """Do some work that may take time, such as writing a large result; the reply is what it returns.

    Attributes:
        function: The work. Its exceptions must be safe to raise in another thread.
        light: Whether it is quick enough for an event loop's own thread.
    """

    function: Callable[[], Any]
    light: bool

    def block(self) -> Any:
        """Do it in this thread."""
        return self.function()

    async def wait(self) -> Any:
        """Do it, in another thread unless it is light."""
        if self.light:
            return self.function()
        from clearway._execution.threads import get_threads  # noqa: PLC0415 - sync flows that submit nothing need none
        from clearway._waiting.loop_calls import settled  # noqa: PLC0415 - as above

        done: ConcurrentFuture[Any] = ConcurrentFuture()
        get_threads().submit(lambda: _do(self.function, done))
        return await settled(done)


def _do(function: Callable[[], Any], done: ConcurrentFuture[Any]) -> None:
    try:
        done.set_result(function())
    except BaseException as error:  # noqa: BLE001 - raised again by the waiter
        done.set_exception(error)
